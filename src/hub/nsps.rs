//! The namespaces of a server: those that it always has, and those that are made when a client asks for one whose name fits a
//! pattern.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Weak};

use http::Extensions;

use super::nsp::{Handlers, Nsp, NspOptions, Origin};
use super::pattern::Pattern;
use crate::metrics::Counters;
use crate::sync::Lock;

#[derive(Debug, Default)]
pub(crate) struct Nsps {
    fixed: HashMap<Arc<str>, Arc<Nsp>>,
    /// The first whose pattern fits has the name.
    families: Vec<Arc<Family>>,
}

/// What a client gets that asks for a namespace.
#[derive(Debug)]
pub(crate) enum Found {
    Nsp {
        nsp: Arc<Nsp>,
        /// Of the handshake, with the parameters of the name, if it has any.
        extensions: Option<Box<Extensions>>,
    },
    Nothing,
    /// As many have been made as may be.
    TooMany,
    /// Code of users has panicked.
    Failed,
}

impl Nsps {
    /// Returns false if there was one of this name, which it replaces.
    pub(crate) fn add(&mut self, nsp: Nsp) -> bool {
        self.fixed
            .insert(Arc::clone(&nsp.name), Arc::new(nsp))
            .is_none()
    }

    /// Returns false if there was one of this pattern, which it replaces.
    pub(crate) fn add_family(&mut self, family: Family) -> bool {
        let before = self.families.len();
        self.families.retain(|other| other.name != family.name);
        self.families.push(Arc::new(family));
        self.families.len() > before
    }

    /// The namespace of a client that asks for it.
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

    /// A namespace that is always there.
    pub(crate) fn fixed(&self, name: &str) -> Option<&Arc<Nsp>> {
        self.fixed.get(name)
    }

    /// The pattern that makes, or has made, the namespace of this name.
    pub(crate) fn family_of(&self, name: &str) -> Option<&Arc<Family>> {
        let mut families = self.families.iter();
        let made = families.find(|family| family.existing(name).is_some());
        let makes = |family: &&Arc<Family>| family.pattern.fits(name, &Extensions::new()).is_some();
        made.or_else(|| self.families.iter().find(makes))
    }

    /// The namespaces of a pattern.
    pub(crate) fn family(&self, pattern: &str) -> Option<&Arc<Family>> {
        self.families.iter().find(|family| *family.name == *pattern)
    }

    /// The server has shut down: other servers reach none of them any more.
    pub(super) fn close(&self) {
        let families = self.families.iter().flat_map(|family| family.children());
        let all = self.fixed.values().map(Arc::clone).chain(families);
        all.for_each(|nsp| nsp.adapter.close());
    }

    /// How many sockets are connected to what was registered.
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

    /// The names and patterns that were registered.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let fixed = self.fixed.keys().map(|name| &**name);
        fixed.chain(self.families.iter().map(|family| &*family.name))
    }
}

/// The namespaces whose names fit a pattern. Each is there as long as a socket is in it, or may come back to it.
pub(crate) struct Family {
    /// The pattern as it was registered.
    pub(crate) name: Arc<str>,
    pattern: Pattern,
    handlers: Arc<Handlers>,
    options: NspOptions,
    max: usize,
    pub(super) counters: Arc<Counters>,
    children: Lock<HashMap<Arc<str>, Weak<Nsp>>>,
}

impl Family {
    pub(crate) fn new(
        name: Arc<str>,
        pattern: Pattern,
        handlers: Arc<Handlers>,
        options: NspOptions,
        max: usize,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            name,
            pattern,
            handlers,
            options,
            max,
            counters,
            children: Lock::default(),
        }
    }

    /// Those there are.
    pub(crate) fn children(&self) -> Vec<Arc<Nsp>> {
        self.children
            .lock()
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Those there are, on other servers too.
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

    /// The one of this name, if it is there or may be on another server.
    pub(crate) fn named(self: &Arc<Self>, name: &str) -> Option<Arc<Nsp>> {
        let cluster = || self.options.cluster.is_some();
        let elsewhere = || cluster().then(|| self.elsewhere(name.into()));
        self.existing(name).or_else(elsewhere)
    }

    /// The one of this name, if it is there on this server.
    pub(super) fn existing(&self, name: &str) -> Option<Arc<Nsp>> {
        self.children.lock().get(name)?.upgrade()
    }

    /// The one of this name, made if it is not there; `None` if there are too many.
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

    /// For what is emitted now to what other servers have and this one has not. It counts against no limit.
    fn elsewhere(&self, name: Arc<str>) -> Arc<Nsp> {
        self.make(name, Origin::Elsewhere)
    }

    fn make(&self, name: Arc<str>, origin: Origin<'_>) -> Arc<Nsp> {
        let (handlers, counters) = (Arc::clone(&self.handlers), Arc::clone(&self.counters));
        let options = self.options.clone();
        Arc::new(Nsp::new(name, handlers, options, counters, origin))
    }

    /// A namespace that is only kept for who may come back makes room. Returns false if there is none.
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
            // If nobody else has it, its entry goes with it.
            drop(nsp);
            if self.children.lock().len() < self.max {
                return true;
            }
        }
        false
    }

    /// One of them is gone, and so is its entry, unless another has taken its place.
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
