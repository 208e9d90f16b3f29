//! The namespaces that an emit is for.

use std::sync::Arc;

use crate::metrics::Counters;
use crate::namespace::DynamicNamespace;
use crate::socket::{NamespaceHandlers, SocketNamespace};

/// The namespaces of a selection.
#[derive(Clone)]
pub(super) enum SelectedNamespaces {
    None,
    One(Arc<SocketNamespace>),
    /// The namespaces of a pattern, as they exist when the selection is used.
    Pattern(Arc<DynamicNamespace<NamespaceHandlers>>),
    /// The namespace of this name that fits a pattern, if it exists when the selection is used.
    Named(Arc<DynamicNamespace<NamespaceHandlers>>, Arc<str>),
}

impl SelectedNamespaces {
    /// Returns the namespaces that exist now, on any server.
    pub(super) fn all(&self) -> Vec<Arc<SocketNamespace>> {
        match self {
            Self::Pattern(dynamic) => dynamic.all(),
            Self::Named(dynamic, name) => dynamic.named(name).into_iter().collect(),
            Self::None | Self::One(_) => self.here(),
        }
    }

    /// Returns the namespaces that exist now on this server.
    pub(super) fn here(&self) -> Vec<Arc<SocketNamespace>> {
        match self {
            Self::None => Vec::new(),
            Self::One(namespace) => vec![Arc::clone(namespace)],
            Self::Pattern(dynamic) => dynamic.here(),
            Self::Named(dynamic, name) => dynamic.existing(name).into_iter().collect(),
        }
    }

    /// Returns the counters of the server, if there is one.
    pub(super) fn counters(&self) -> Option<&Counters> {
        match self {
            Self::None => None,
            Self::One(namespace) => Some(&namespace.counters),
            Self::Pattern(dynamic) | Self::Named(dynamic, _) => Some(dynamic.counters()),
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::One(namespace) => Some(&namespace.name),
            Self::Pattern(dynamic) => Some(&dynamic.pattern),
            Self::Named(_, name) => Some(name),
        }
    }
}
