//! The namespaces that an emit is for.

use std::borrow::Cow;
use std::sync::Arc;

use crate::adapter::AdapterError;
use crate::logs::{ServerLogs, log_emit_without_server};
use crate::metrics::Counters;
use crate::namespace::{DynamicNamespace, Recipients};
use crate::outbox::EmitError;
use crate::socket::{NamespaceHandlers, SocketNamespace};

/// The namespaces of a selection.
#[derive(Clone)]
pub(super) enum SelectedNamespaces {
    Missing(Missing),
    One(Arc<SocketNamespace>),
    /// The namespaces of a pattern, as they exist when the selection is used.
    Pattern(Arc<DynamicNamespace<NamespaceHandlers>>),
    /// The namespace of this name that fits a pattern, if it exists when the selection is used.
    Named(Arc<DynamicNamespace<NamespaceHandlers>>, Arc<str>),
}

impl SelectedNamespaces {
    /// Returns the sockets of the namespaces, on all servers. A missing namespace is logged.
    pub(super) fn recipients(&self) -> Result<Cow<'_, Recipients>, &Missing> {
        match self {
            Self::Missing(missing) => {
                missing.log();
                Err(missing)
            }
            Self::One(namespace) => Ok(Cow::Borrowed(&namespace.recipients)),
            Self::Pattern(dynamic) => Ok(Cow::Borrowed(&dynamic.recipients)),
            Self::Named(dynamic, name) => Ok(Cow::Owned(dynamic.recipients_of(name))),
        }
    }

    /// Returns the namespaces that exist now on this server. A missing one is logged.
    pub(super) fn here(&self) -> Result<Vec<Arc<SocketNamespace>>, &Missing> {
        match self {
            Self::Missing(missing) => {
                missing.log();
                Err(missing)
            }
            Self::One(namespace) => Ok(vec![Arc::clone(namespace)]),
            Self::Pattern(dynamic) => Ok(dynamic.here()),
            Self::Named(dynamic, name) => Ok(dynamic.existing(name).into_iter().collect()),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Missing(missing) => &missing.name,
            Self::One(namespace) => &namespace.name,
            Self::Pattern(dynamic) => &dynamic.pattern,
            Self::Named(_, name) => name,
        }
    }
}

/// A namespace that the server does not have, or whose handle has no server.
#[derive(Clone)]
pub(super) struct Missing {
    pub(super) name: Arc<str>,
    pub(super) server: Option<Arc<ServerLogs>>,
}

impl Missing {
    /// Returns the counters of the server, if there is one.
    pub(super) fn counters(&self) -> Option<&Counters> {
        self.server.as_ref().map(|server| &**server.counters())
    }

    fn log(&self) {
        let nsp = &*self.name;
        match &self.server {
            Some(server) if server.allow() => {
                tracing::warn!(nsp, "nothing is sent: this server has no such namespace");
            }
            Some(_) => {}
            None => log_emit_without_server(nsp),
        }
    }
}

impl From<&Missing> for EmitError {
    fn from(missing: &Missing) -> Self {
        match &missing.server {
            Some(_) => Self::NoNamespace(missing.name.to_string()),
            None => Self::NoServer,
        }
    }
}

impl From<&Missing> for AdapterError {
    fn from(missing: &Missing) -> Self {
        match &missing.server {
            Some(_) => Self::NoNamespace(missing.name.to_string()),
            None => Self::NoServer,
        }
    }
}
