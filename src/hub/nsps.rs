//! The namespaces of a server: fixed ones, and dynamic ones, which are created when a client requests a name that fits
//! a pattern.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Weak};

use http::Extensions;

use super::ServerLogs;
use super::nsp::{Handlers, Nsp, NspOptions, Origin};
use super::pattern::Pattern;
use crate::sync::Lock;

#[derive(Debug, Default)]
pub(crate) struct Nsps {
    fixed: HashMap<Arc<str>, Arc<Nsp>>,
    /// The dynamic namespaces by pattern. The first matching pattern wins.
    families: Vec<Arc<Family>>,
}

/// The result of a client's request for a namespace.
#[derive(Debug)]
pub(crate) enum Found {
    Nsp {
        nsp: Arc<Nsp>,
        /// The handshake's extensions with the parameters of the name, if it fits a pattern.
        extensions: Option<Box<Extensions>>,
    },
    Nothing,
    /// The maximum number of namespaces of the pattern is reached.
    TooMany,
    /// Code of the application has panicked.
    Failed,
}

impl Nsps {
    /// Adds a fixed namespace. Returns false if it replaces one of the same name.
    pub(crate) fn add(&mut self, nsp: Nsp) -> bool {
        self.fixed
            .insert(Arc::clone(&nsp.name), Arc::new(nsp))
            .is_none()
    }

    /// Adds a pattern. Returns false if it replaces an equal one.
    pub(crate) fn add_family(&mut self, family: Family) -> bool {
        let before = self.families.len();
        self.families.retain(|other| other.name != family.name);
        self.families.push(Arc::new(family));
        self.families.len() > before
    }

    /// Finds or creates the namespace that a client requests.
    pub(crate) fn find(&self, name: &str, handshake: &Extensions) -> Found {
        if let Some(nsp) = self.fixed.get(name) {
            let (nsp, extensions) = (Arc::clone(nsp), None);
            return Found::Nsp { nsp, extensions };
        }
        let fits = |family: &Arc<Family>| {
            let extensions = family.pattern.fits(name, handshake)?;
            Some((Arc::clone(family), Some(Box::new(extensions))))
        };
        let Some((family, extensions)) = self.families.iter().find_map(fits) else {
            return Found::Nothing;
        };
        family
            .child(name)
            .map_or(Found::TooMany, |nsp| Found::Nsp { nsp, extensions })
    }

    /// Returns the fixed namespace of this name.
    pub(crate) fn fixed(&self, name: &str) -> Option<&Arc<Nsp>> {
        self.fixed.get(name)
    }

    /// Returns the pattern that has a namespace of this name, or else the first that the name fits.
    pub(crate) fn family_of(&self, name: &str) -> Option<&Arc<Family>> {
        let mut families = self.families.iter();
        let made = families.find(|family| family.existing(name).is_some());
        let makes = |family: &&Arc<Family>| family.pattern.fits(name, &Extensions::new()).is_some();
        made.or_else(|| self.families.iter().find(makes))
    }

    /// Returns the family of a pattern as it was registered.
    pub(crate) fn family(&self, pattern: &str) -> Option<&Arc<Family>> {
        self.families.iter().find(|family| *family.name == *pattern)
    }

    /// Disconnects all namespaces from other servers, after a shutdown.
    pub(super) fn close(&self) {
        let families = self.families.iter().flat_map(|family| family.children());
        let all = self.fixed.values().map(Arc::clone).chain(families);
        all.for_each(|nsp| nsp.adapter.close());
    }

    /// Returns the number of connected sockets for each registered name and pattern.
    pub(super) fn sockets(&self) -> BTreeMap<String, u64> {
        let fixed = self
            .fixed
            .values()
            .map(|nsp| (&nsp.name, nsp.members.len()));
        let families = self.families.iter().map(|family| {
            let children = family.children();
            (
                &family.name,
                children.iter().map(|nsp| nsp.members.len()).sum(),
            )
        });
        let all = fixed.chain(families);
        all.map(|(name, count)| (name.to_string(), count as u64))
            .collect()
    }

    /// Returns the registered names and patterns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let fixed = self.fixed.keys().map(|name| &**name);
        fixed.chain(self.families.iter().map(|family| &*family.name))
    }
}

/// The namespaces of a pattern. Each exists while it has a socket, or a session that may be resumed.
pub(crate) struct Family {
    /// The pattern as it was registered.
    pub(crate) name: Arc<str>,
    pattern: Pattern,
    handlers: Arc<Handlers>,
    options: NspOptions,
    max: usize,
    pub(super) logs: Arc<ServerLogs>,
    children: Lock<HashMap<Arc<str>, Weak<Nsp>>>,
}

impl Family {
    pub(crate) fn new(
        name: Arc<str>,
        pattern: Pattern,
        handlers: Arc<Handlers>,
        options: NspOptions,
        max: usize,
        logs: Arc<ServerLogs>,
    ) -> Self {
        Self {
            name,
            pattern,
            handlers,
            options,
            max,
            logs,
            children: Lock::default(),
        }
    }

    /// Returns the existing namespaces of the pattern on this server.
    pub(crate) fn children(&self) -> Vec<Arc<Nsp>> {
        self.children
            .lock()
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Returns the existing namespaces of the pattern, including those of other servers.
    pub(crate) fn all(self: &Arc<Self>) -> Vec<Arc<Nsp>> {
        let mut all = self.children();
        if let Some(cluster) = &self.options.cluster {
            let here: HashSet<_> = all.iter().map(|nsp| Arc::clone(&nsp.name)).collect();
            let names = cluster.made_for(&self.name).into_iter();
            let elsewhere = names.filter(|name| !here.contains(name));
            all.extend(elsewhere.map(|name| self.elsewhere(name)));
        }
        all
    }

    /// Returns the namespace of this name, if it exists on this server or may exist on another.
    pub(crate) fn named(self: &Arc<Self>, name: &str) -> Option<Arc<Nsp>> {
        let cluster = || self.options.cluster.is_some();
        let elsewhere = || cluster().then(|| self.elsewhere(name.into()));
        self.existing(name).or_else(elsewhere)
    }

    /// Returns the namespace of this name, if it exists on this server.
    pub(super) fn existing(&self, name: &str) -> Option<Arc<Nsp>> {
        self.children.lock().get(name)?.upgrade()
    }

    /// Returns the namespace of this name, and creates it if necessary; `None` if there are too many.
    fn child(self: &Arc<Self>, name: &str) -> Option<Arc<Nsp>> {
        let again = || self.make_room().then(|| self.try_child(name)).flatten();
        self.try_child(name).or_else(again)
    }

    fn try_child(self: &Arc<Self>, name: &str) -> Option<Arc<Nsp>> {
        let mut children = self.children.lock();
        let known = children.get(name);
        if let Some(nsp) = known.and_then(Weak::upgrade) {
            return Some(nsp);
        }
        if known.is_none() && children.len() >= self.max {
            return None;
        }
        let name: Arc<str> = name.into();
        let nsp = self.make(Arc::clone(&name), Origin::Made(self));
        children.insert(name, Arc::downgrade(&nsp));
        Some(nsp)
    }

    /// Creates a temporary namespace for emits to sockets of other servers. It counts against no limit.
    fn elsewhere(&self, name: Arc<str>) -> Arc<Nsp> {
        self.make(name, Origin::Elsewhere)
    }

    fn make(&self, name: Arc<str>, origin: Origin<'_>) -> Arc<Nsp> {
        let (handlers, options) = (Arc::clone(&self.handlers), self.options.clone());
        Arc::new(Nsp::new(name, handlers, options, &self.logs, origin))
    }

    /// Drops namespaces that only hold sessions of disconnected sockets, until one more fits. Returns false if none
    /// does.
    fn make_room(&self) -> bool {
        if self.options.recovery.is_none() {
            return false;
        }
        for nsp in self.children() {
            if nsp.members.len() == 0
                && let Some(history) = nsp.members.history()
            {
                history.forget_away();
            }
            // This may be the last reference: then the namespace is dropped, and its entry removed.
            drop(nsp);
            if self.children.lock().len() < self.max {
                return true;
            }
        }
        false
    }

    /// Removes the entry of a dropped namespace, unless another of the same name has replaced it.
    pub(super) fn forget(&self, name: &str) {
        let mut children = self.children.lock();
        if children
            .get(name)
            .is_some_and(|child| child.strong_count() == 0)
        {
            children.remove(name);
        }
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
