//! All namespaces of a server: fixed ones, and dynamic ones, which are created when a client requests a name that fits
//! a pattern.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use http::Extensions;

use super::dynamic::DynamicNamespace;
use super::handler_table::HandlerTable;
use super::running_namespace::RunningNamespace;

/// The namespaces of a server, with the tables `H` of their handlers.
pub(crate) struct Namespaces<H: HandlerTable> {
    fixed: HashMap<Arc<str>, Arc<RunningNamespace<H>>>,
    /// The dynamic namespaces by pattern. The first matching pattern wins.
    dynamic: Vec<Arc<DynamicNamespace<H>>>,
}

/// The result of a client's request for a namespace.
pub(crate) enum Found<H: HandlerTable> {
    Namespace {
        namespace: Arc<RunningNamespace<H>>,
        /// The handshake's extensions with the parameters of the name, if it fits a pattern.
        extensions: Option<Box<Extensions>>,
    },
    Nothing,
    /// The maximum number of namespaces of the pattern is reached.
    TooMany,
    /// Code of the application has panicked.
    Failed,
}

impl<H: HandlerTable> Default for Namespaces<H> {
    fn default() -> Self {
        Self {
            fixed: HashMap::new(),
            dynamic: Vec::new(),
        }
    }
}

impl<H: HandlerTable> Namespaces<H> {
    /// Adds a fixed namespace. Returns false if it replaces one of the same name.
    pub(crate) fn add(&mut self, namespace: RunningNamespace<H>) -> bool {
        let name = Arc::clone(&namespace.name);
        self.fixed.insert(name, Arc::new(namespace)).is_none()
    }

    /// Adds a pattern. Returns false if it replaces an equal one.
    pub(crate) fn add_dynamic(&mut self, dynamic: Arc<DynamicNamespace<H>>) -> bool {
        let before = self.dynamic.len();
        self.dynamic
            .retain(|other| other.pattern != dynamic.pattern);
        self.dynamic.push(dynamic);
        self.dynamic.len() > before
    }

    /// Finds or creates the namespace that a client requests.
    pub(crate) fn find(&self, name: &str, handshake: &Extensions) -> Found<H> {
        if let Some(namespace) = self.fixed.get(name) {
            return Found::Namespace {
                namespace: Arc::clone(namespace),
                extensions: None,
            };
        }
        let fits = |dynamic: &Arc<DynamicNamespace<H>>| {
            let extensions = dynamic.fits(name, handshake)?;
            Some((Arc::clone(dynamic), Some(Box::new(extensions))))
        };
        let Some((dynamic, extensions)) = self.dynamic.iter().find_map(fits) else {
            return Found::Nothing;
        };
        let found = dynamic.find_or_create(name);
        found.map_or(Found::TooMany, |namespace| Found::Namespace {
            namespace,
            extensions,
        })
    }

    /// Returns the fixed namespace of this name.
    pub(crate) fn fixed(&self, name: &str) -> Option<&Arc<RunningNamespace<H>>> {
        self.fixed.get(name)
    }

    /// Returns the pattern that has a namespace of this name, or else the first that the name fits.
    pub(crate) fn dynamic_of(&self, name: &str) -> Option<&Arc<DynamicNamespace<H>>> {
        let mut all = self.dynamic.iter();
        let made = all.find(|dynamic| dynamic.existing(name).is_some());
        let fits = |dynamic: &&Arc<DynamicNamespace<H>>| {
            let none = Extensions::new();
            dynamic.fits(name, &none).is_some()
        };
        made.or_else(|| self.dynamic.iter().find(fits))
    }

    /// Returns the namespaces of a pattern as it was registered.
    pub(crate) fn dynamic(&self, pattern: &str) -> Option<&Arc<DynamicNamespace<H>>> {
        let mut all = self.dynamic.iter();
        all.find(|dynamic| *dynamic.pattern == *pattern)
    }

    /// Disconnects all namespaces from other servers, after a shutdown.
    pub(crate) fn close(&self) {
        for dynamic in &self.dynamic {
            dynamic.recipients.adapter.close();
        }
        let dynamic = self.dynamic.iter().flat_map(|dynamic| dynamic.here());
        let all = self.fixed.values().map(Arc::clone).chain(dynamic);
        all.for_each(|namespace| namespace.recipients.adapter.close());
    }

    /// Returns the number of connected sockets for each registered name and pattern.
    pub(crate) fn sockets(&self) -> BTreeMap<String, u64> {
        let fixed = self.fixed.values();
        let fixed = fixed.map(|namespace| (&namespace.name, namespace.members.len()));
        let dynamic = self.dynamic.iter().map(|dynamic| {
            let here = dynamic.here();
            let count = here.iter().map(|namespace| namespace.members.len()).sum();
            (&dynamic.pattern, count)
        });
        let all = fixed.chain(dynamic);
        all.map(|(name, count): (_, usize)| (name.to_string(), count as u64))
            .collect()
    }

    /// Returns the registered names and patterns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let fixed = self.fixed.keys().map(|name| &**name);
        fixed.chain(self.dynamic.iter().map(|dynamic| &*dynamic.pattern))
    }
}

impl<H: HandlerTable> fmt::Debug for Namespaces<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespaces")
            .field("fixed", &self.fixed.keys())
            .finish_non_exhaustive()
    }
}
