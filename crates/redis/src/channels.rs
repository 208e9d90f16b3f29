//! The names of channels, and what a server has subscribed to.

use std::collections::HashMap;
use std::sync::Arc;

use proto::cluster::Channel;

use crate::settings::{RedisSettings, SubscriptionMode};

/// The length of a socket's id. Node.js servers take a room of this length for that of a socket.
const SOCKET_ID: usize = 20;

/// Returns the name of a channel. A room without a channel of its own has that of its namespace.
pub(crate) fn name(settings: &RedisSettings, channel: Channel<'_>) -> String {
    let prefix = &settings.prefix;
    match channel {
        Channel::Room { nsp, room } if has_channel(settings.mode, room) => {
            format!("{prefix}#{nsp}#{room}#")
        }
        Channel::Namespace { nsp } | Channel::Room { nsp, .. } => format!("{prefix}#{nsp}#"),
        Channel::Server { nsp, uid } => format!("{prefix}#{nsp}#{uid}#"),
    }
}

/// Returns true if a server subscribes to a room.
pub(crate) fn has_channel(mode: SubscriptionMode, room: &str) -> bool {
    mode == SubscriptionMode::Dynamic && room.encode_utf16().count() != SOCKET_ID
}

/// The channels that a server has subscribed to. One may belong to several: the room `x` of `/` has the channel of the
/// namespace `/#x`.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(HashMap<String, Vec<(Arc<str>, usize)>>);

impl Subscriptions {
    /// Adds a use of a channel. Returns true if it is the first.
    pub(crate) fn insert(&mut self, channel: &str, nsp: &str) -> bool {
        let uses = self.0.entry(channel.to_owned()).or_default();
        let first = uses.is_empty();
        match uses.iter_mut().find(|(known, _)| **known == *nsp) {
            Some((_, count)) => *count += 1,
            None => uses.push((nsp.into(), 1)),
        }
        first
    }

    /// Removes a use of a channel. Returns true if it was the last.
    pub(crate) fn remove(&mut self, channel: &str, nsp: &str) -> bool {
        let Some(uses) = self.0.get_mut(channel) else {
            return false;
        };
        if let Some((_, count)) = uses.iter_mut().find(|(known, _)| **known == *nsp) {
            *count -= 1;
        }
        uses.retain(|(_, count)| *count > 0);
        let last = uses.is_empty();
        if last {
            self.0.remove(channel);
        }
        last
    }

    /// Returns the namespaces that a channel belongs to.
    pub(crate) fn namespaces(&self, channel: &str) -> Vec<Arc<str>> {
        let uses = self.0.get(channel).into_iter().flatten();
        uses.map(|(nsp, _)| Arc::clone(nsp)).collect()
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(crate) fn contains(&self, channel: &str) -> bool {
        self.0.contains_key(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mode: SubscriptionMode) -> RedisSettings {
        RedisSettings {
            prefix: "socket.io".into(),
            mode,
            max_queued_bytes: 0,
        }
    }

    #[test]
    fn names_are_those_of_node() {
        let dynamic = settings(SubscriptionMode::Dynamic);
        let room = |room| Channel::Room { nsp: "/", room };
        let server = Channel::Server {
            nsp: "/chat",
            uid: "u",
        };
        assert_eq!(
            name(&dynamic, Channel::Namespace { nsp: "/" }),
            "socket.io#/#"
        );
        assert_eq!(name(&dynamic, room("x")), "socket.io#/#x#");
        assert_eq!(name(&dynamic, room("2zPeIvfvuNOI0LXxAAAA")), "socket.io#/#");
        assert_eq!(name(&dynamic, server), "socket.io#/chat#u#");
        let all = settings(SubscriptionMode::Static);
        assert_eq!(name(&all, room("x")), "socket.io#/#");
    }

    #[test]
    fn a_channel_is_used_until_its_last_use_ends() {
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.insert("socket.io#/#x#", "/"));
        assert!(!subscriptions.insert("socket.io#/#x#", "/#x"));
        assert!(!subscriptions.insert("socket.io#/#x#", "/"));
        let namespaces = subscriptions.namespaces("socket.io#/#x#");
        assert_eq!(namespaces, [Arc::<str>::from("/"), "/#x".into()]);
        assert!(!subscriptions.remove("socket.io#/#x#", "/"));
        assert!(!subscriptions.remove("socket.io#/#x#", "/"));
        assert!(!subscriptions.remove("socket.io#/#x#", "/"));
        assert_eq!(
            subscriptions.namespaces("socket.io#/#x#"),
            [Arc::<str>::from("/#x")]
        );
        assert!(subscriptions.remove("socket.io#/#x#", "/#x"));
        assert!(!subscriptions.contains("socket.io#/#x#"));
        assert!(!subscriptions.remove("socket.io#/#x#", "/#x"));
    }
}
