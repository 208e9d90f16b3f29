//! The namespaces that are created for a pattern.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use http::Extensions;

use super::children::{Children, ListChildren};
use super::handler_table::{HandlerTable, ServerSideEventHandlers};
use super::options::NamespaceOptions;
use super::pattern::Pattern;
use super::recipients::Recipients;
use super::running_namespace::{Parent, RunningNamespace, Siblings};
use crate::adapter::ServerRole;
use crate::logs::ServerLogs;
use crate::sync::Lock;

/// The namespaces of a pattern. Each exists while it has a socket, or a session that may be resumed.
pub(crate) struct DynamicNamespace<H: HandlerTable> {
    /// The pattern as it was registered.
    pub(crate) pattern: Arc<str>,
    matcher: Pattern,
    handlers: Arc<H>,
    options: NamespaceOptions,
    max: usize,
    logs: Arc<ServerLogs>,
    /// The sockets of all namespaces of the pattern, on all servers.
    pub(crate) recipients: Recipients,
    /// The counter of acknowledgement ids, which the namespaces share.
    ack_ids: Arc<AtomicU64>,
    children: Lock<HashMap<Arc<str>, Weak<RunningNamespace<H>>>>,
}

impl<H: HandlerTable> DynamicNamespace<H> {
    pub(crate) fn new(
        pattern: Arc<str>,
        matcher: Pattern,
        handlers: Arc<H>,
        options: NamespaceOptions,
        max: usize,
        logs: Arc<ServerLogs>,
    ) -> Arc<Self> {
        let ack_ids = Arc::<AtomicU64>::default();
        Arc::new_cyclic(|this: &Weak<Self>| {
            let children: Weak<Self> = Weak::clone(this);
            let local = Children {
                pattern: children,
                ack_ids: Arc::clone(&ack_ids),
                server: ServerSideEventHandlers {
                    nsp: Arc::clone(&pattern),
                    handlers: Arc::clone(&handlers),
                    logs: Arc::clone(&logs),
                    surplus: options.surplus,
                },
            };
            let recipients = Recipients::new(
                Arc::clone(&pattern),
                Arc::new(local),
                ServerRole::Member,
                &options,
                Arc::clone(logs.counters()),
            );
            Self {
                pattern,
                matcher,
                handlers,
                options,
                max,
                logs,
                recipients,
                ack_ids,
                children: Lock::default(),
            }
        })
    }

    /// Returns the handshake's extensions with the parameters of the name added, if the name fits the pattern.
    pub(super) fn fits(&self, name: &str, handshake: &Extensions) -> Option<Extensions> {
        self.matcher.fits(name, handshake)
    }

    /// Returns the existing namespaces of the pattern on this server.
    pub(crate) fn here(&self) -> Vec<Arc<RunningNamespace<H>>> {
        self.children
            .lock()
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Returns the sockets of the namespace of this name, which may exist on this server or on others.
    pub(crate) fn recipients_of(&self, name: &str) -> Recipients {
        let existing = self.existing(name);
        existing.map_or_else(
            || {
                let counters = Arc::clone(self.logs.counters());
                Recipients::elsewhere(name.into(), &self.options, counters)
            },
            |namespace| namespace.recipients.clone(),
        )
    }

    /// Returns the namespace of this name, if it exists on this server.
    pub(crate) fn existing(&self, name: &str) -> Option<Arc<RunningNamespace<H>>> {
        self.children.lock().get(name)?.upgrade()
    }

    /// Returns the namespace of this name, and creates it if necessary; `None` if there are too many.
    pub(super) fn find_or_create(self: &Arc<Self>, name: &str) -> Option<Arc<RunningNamespace<H>>> {
        let again = || self.make_room().then(|| self.try_create(name)).flatten();
        self.try_create(name).or_else(again)
    }

    fn try_create(self: &Arc<Self>, name: &str) -> Option<Arc<RunningNamespace<H>>> {
        let mut children = self.children.lock();
        let known = children.get(name);
        if let Some(nsp) = known.and_then(Weak::upgrade) {
            return Some(nsp);
        }
        if known.is_none() && children.len() >= self.max {
            return None;
        }
        let name: Arc<str> = name.into();
        let siblings: Weak<Self> = Arc::downgrade(self);
        let parent = Parent {
            siblings,
            ack_ids: Arc::clone(&self.ack_ids),
        };
        let (handlers, options) = (Arc::clone(&self.handlers), self.options.clone());
        let nsp = RunningNamespace::new(
            Arc::clone(&name),
            handlers,
            options,
            &self.logs,
            Some(parent),
        );
        let nsp = Arc::new(nsp);
        children.insert(name, Arc::downgrade(&nsp));
        Some(nsp)
    }

    /// Drops namespaces that only hold sessions of disconnected sockets, until one more fits. Returns false if none
    /// does.
    fn make_room(&self) -> bool {
        if self.options.recovery.is_none() {
            return false;
        }
        for nsp in self.here() {
            if nsp.members.len() == 0
                && let Some(history) = nsp.members.history()
            {
                history.forget_suspended();
            }
            // This may be the last reference: then the namespace is dropped, and its entry removed.
            drop(nsp);
            if self.children.lock().len() < self.max {
                return true;
            }
        }
        false
    }
}

impl<H: HandlerTable> ListChildren<H> for DynamicNamespace<H> {
    fn list(&self) -> Vec<Arc<RunningNamespace<H>>> {
        self.here()
    }
}

impl<H: HandlerTable> Siblings for DynamicNamespace<H> {
    /// Removes the entry, unless another namespace of this name has replaced it.
    fn forget(&self, name: &str) {
        let mut children = self.children.lock();
        if children
            .get(name)
            .is_some_and(|child| child.strong_count() == 0)
        {
            children.remove(name);
        }
    }
}

impl<H: HandlerTable> fmt::Debug for DynamicNamespace<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicNamespace")
            .field("pattern", &self.pattern)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Counters;
    use crate::namespace::{Namespaces, ServerHandler};
    use crate::rooms::StubLink;

    struct NoHandlers;

    impl HandlerTable for NoHandlers {
        type Link = StubLink;

        fn server_handler(&self, _: &str) -> Option<&ServerHandler> {
            None
        }

        fn observes_outgoing(&self) -> bool {
            false
        }
    }

    fn dynamic(pattern: &str, max: usize) -> Arc<DynamicNamespace<NoHandlers>> {
        let logs = Arc::new(ServerLogs::new(Arc::new(Counters::new(1)), 10, 10));
        let (name, matcher) = (pattern.into(), Pattern::new(pattern));
        DynamicNamespace::new(
            name,
            matcher,
            Arc::new(NoHandlers),
            NamespaceOptions::default(),
            max,
            logs,
        )
    }

    #[test]
    fn a_namespace_leaves_its_pattern_when_it_is_dropped() {
        let dynamic = dynamic("/{id}", 1);
        let one = dynamic.find_or_create("/1").unwrap();
        assert!(one.is_dynamic());
        assert!(Arc::ptr_eq(&one, &dynamic.find_or_create("/1").unwrap()));
        assert!(dynamic.find_or_create("/2").is_none(), "at the limit");
        drop(one);
        assert!(dynamic.here().is_empty());
        assert!(dynamic.find_or_create("/2").is_some());
    }

    #[test]
    fn a_namespace_may_outlive_its_pattern() {
        let dynamic = dynamic("/{id}", 1);
        let one = dynamic.find_or_create("/1").unwrap();
        drop(dynamic);
        assert!(!one.is_dynamic());
    }

    #[test]
    fn the_pattern_that_has_a_namespace_goes_before_one_that_its_name_fits() {
        let mut namespaces = Namespaces::default();
        assert!(namespaces.add_dynamic(dynamic("/{id}", 1)));
        assert!(namespaces.add_dynamic(dynamic("/orders-{id}", 1)));
        assert!(
            !namespaces.add_dynamic(dynamic("/orders-{id}", 1)),
            "an equal one"
        );
        let pattern = |name: &str| namespaces.dynamic_of(name).map(|found| &*found.pattern);
        assert_eq!(pattern("/orders-1"), Some("/{id}"));
        let made = namespaces
            .dynamic("/orders-{id}")
            .unwrap()
            .find_or_create("/orders-1");
        assert_eq!(pattern("/orders-1"), Some("/orders-{id}"));
        drop(made);
        assert_eq!(pattern("/orders-1"), Some("/{id}"));
        assert_eq!(pattern("/1/2"), None);
    }
}
