//! The parts of a connection that its tasks share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use proto::cluster::{LinkHealth, Receiver};

use crate::settings::Names;

/// The receiver of messages, and the namespaces that it needs.
pub(crate) struct Inbound {
    pub(crate) receiver: Arc<dyn Receiver>,
    pub(crate) names: Names,
    pub(crate) link: LinkHealth,
    /// The id of this server, once it is known.
    uid: OnceLock<String>,
    subscriptions: Mutex<HashMap<Arc<str>, usize>>,
}

impl Inbound {
    pub(crate) fn new(receiver: Arc<dyn Receiver>, names: Names) -> Self {
        Self {
            receiver,
            names,
            link: LinkHealth::default(),
            uid: OnceLock::new(),
            subscriptions: Mutex::default(),
        }
    }

    pub(crate) fn set_uid(&self, uid: &str) {
        self.uid.get_or_init(|| uid.to_owned());
    }

    /// Returns true if this is the id of this server, whose own messages come back to it.
    pub(crate) fn is_own(&self, uid: &str) -> bool {
        self.uid.get().is_some_and(|own| own == uid)
    }

    /// Returns true if the text is a message of this server, which ends with its id.
    pub(crate) fn is_own_message(&self, nsp: &str, text: &str) -> bool {
        let Some(uid) = self.uid.get() else {
            return false;
        };
        let nsp = serde_json::Value::from(nsp);
        text.ends_with(&format!(r#","uid":"{uid}","nsp":{nsp}}}"#))
    }

    fn subscriptions(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a use of the channel of a namespace.
    pub(crate) fn insert(&self, nsp: &str) {
        *self.subscriptions().entry(nsp.into()).or_default() += 1;
    }

    /// Removes a use of the channel of a namespace. Returns true if it was the last.
    pub(crate) fn remove(&self, nsp: &str) -> bool {
        let mut subscriptions = self.subscriptions();
        let Some(uses) = subscriptions.get_mut(nsp) else {
            return false;
        };
        *uses -= 1;
        let last = *uses == 0;
        if last {
            subscriptions.remove(nsp);
        }
        last
    }

    pub(crate) fn namespaces(&self) -> Vec<Arc<str>> {
        self.subscriptions().keys().cloned().collect()
    }

    /// Returns the namespace of a channel that this server listens to.
    pub(crate) fn wanted(&self, channel: &str) -> Option<Arc<str>> {
        let nsp = self.names.nsp(channel)?;
        let subscriptions = self.subscriptions();
        let (nsp, _) = subscriptions.get_key_value(nsp)?;
        Some(Arc::clone(nsp))
    }

    pub(crate) fn is_wanted(&self, nsp: &str) -> bool {
        self.subscriptions().contains_key(nsp)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proto::cluster::{Body, Channel, Message};

    use super::*;

    struct Nobody;

    impl Receiver for Nobody {
        fn receive(&self, _: Channel<'_>, _: Bytes) {}
    }

    #[test]
    fn own_messages_are_known_by_their_end() {
        let inbound = Inbound::new(Arc::new(Nobody), Names::default());
        let of = |uid: &'static str| {
            let message = Message {
                uid: uid.into(),
                nsp: "/\"".into(),
                body: Body::Heartbeat,
                attachments: [].as_slice().into(),
            };
            String::from_utf8(message.encode().to_vec()).unwrap()
        };
        assert!(!inbound.is_own_message("/\"", &of("own")));
        inbound.set_uid("own");
        assert!(inbound.is_own_message("/\"", &of("own")));
        assert!(!inbound.is_own_message("/\"", &of("other")));
        assert!(inbound.is_own("own") && !inbound.is_own("other"));
    }

    #[test]
    fn a_namespace_is_wanted_until_its_last_use_ends() {
        let inbound = Inbound::new(Arc::new(Nobody), Names::default());
        inbound.insert("/");
        inbound.insert("/");
        assert!(!inbound.remove("/"));
        assert_eq!(inbound.wanted("socket.io#/").as_deref(), Some("/"));
        assert!(inbound.remove("/"));
        assert!(!inbound.remove("/"));
        assert_eq!(inbound.wanted("socket.io#/"), None);
    }
}
