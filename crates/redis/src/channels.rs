//! The names of channels.

use proto::cluster::Channel;

use crate::settings::{Mode, RedisSettings, SubscriptionMode};

/// The length of a socket's id. Node.js servers take a room of this length for that of a socket.
const SOCKET_ID: usize = 20;

/// A name that a server subscribes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) kind: TopicKind,
}

impl Topic {
    pub(crate) fn new(kind: TopicKind, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, kind }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKind {
    Channel,
    /// A pattern of channels.
    Pattern,
}

/// The part of a server that uses a topic. The name of a channel has the names of its namespace and room, so only
/// their position is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelUse {
    kind: Kind,
    /// The length of the namespace, in bytes.
    nsp: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Namespace,
    Room,
    /// A namespace with all its rooms.
    Pattern,
    Requests,
    Server,
}

/// Returns true if the name of a room may be the id of a socket.
pub(crate) fn is_socket_id(room: &str) -> bool {
    room.encode_utf16().count() == SOCKET_ID
}

impl RedisSettings {
    /// Returns the name of the channel to which messages are published. A room without a channel of its own has that of
    /// its namespace.
    pub(crate) fn name(&self, channel: Channel<'_>) -> String {
        let prefix = &self.prefix;
        let classic = self.is_classic();
        match channel {
            Channel::Room { nsp, room } if self.has_channel(room) => {
                format!("{prefix}#{nsp}#{room}#")
            }
            Channel::Namespace { nsp } | Channel::Room { nsp, .. } => format!("{prefix}#{nsp}#"),
            Channel::Requests { nsp } => format!("{prefix}-request#{nsp}#"),
            Channel::Server { nsp, uid } if !classic => format!("{prefix}#{nsp}#{uid}#"),
            Channel::Server { nsp, uid } if self.specific_answers && !uid.is_empty() => {
                format!("{prefix}-response#{nsp}#{uid}#")
            }
            Channel::Server { nsp, .. } => format!("{prefix}-response#{nsp}#"),
        }
    }

    /// Returns the topics of a subscription, and the use to which their messages belong. There is no topic if the
    /// messages arrive by another subscription.
    pub(crate) fn topics(&self, channel: Channel<'_>) -> (Vec<Topic>, ChannelUse) {
        let nsp = channel.nsp();
        let plain = |name: String| Topic::new(TopicKind::Channel, name);
        let (topics, kind) = match channel {
            Channel::Namespace { .. } if self.has_pattern(nsp) => {
                let pattern = format!("{}*", escaped(&self.name(channel)));
                let pattern = Topic::new(TopicKind::Pattern, pattern);
                (vec![pattern], Kind::Pattern)
            }
            Channel::Namespace { .. } => (vec![plain(self.name(channel))], Kind::Namespace),
            Channel::Room { room, .. } if self.has_channel(room) && !self.has_pattern(nsp) => {
                (vec![plain(self.name(channel))], Kind::Room)
            }
            Channel::Room { .. } => (Vec::new(), Kind::Room),
            Channel::Requests { .. } => (vec![plain(self.name(channel))], Kind::Requests),
            Channel::Server { .. } if !self.is_classic() => {
                (vec![plain(self.name(channel))], Kind::Server)
            }
            // Each server decides to which of the two it answers.
            Channel::Server { uid, .. } => {
                let shared = format!("{}-response#{nsp}#", self.prefix);
                let own = format!("{shared}{uid}#");
                (vec![plain(shared), plain(own)], Kind::Server)
            }
        };
        let nsp = u32::try_from(nsp.len()).unwrap_or(u32::MAX);
        (topics, ChannelUse { kind, nsp })
    }

    /// Returns the channel that a name means for a use.
    pub(crate) fn channel<'a>(
        &self,
        name: &'a str,
        channel_use: ChannelUse,
    ) -> Option<Channel<'a>> {
        let infix = match channel_use.kind {
            Kind::Requests => "-request#",
            Kind::Server if self.is_classic() => "-response#",
            _ => "#",
        };
        let rest = name.get(self.prefix.len() + infix.len()..)?;
        let (nsp, last) = rest.split_at_checked(channel_use.nsp as usize)?;
        let last = last.strip_prefix('#')?;
        let room = last.strip_suffix('#');
        Some(match (channel_use.kind, room) {
            (Kind::Namespace, _) | (Kind::Pattern, None) => Channel::Namespace { nsp },
            (Kind::Pattern | Kind::Room, room) => Channel::Room { nsp, room: room? },
            (Kind::Requests, _) => Channel::Requests { nsp },
            (Kind::Server, uid) => Channel::Server {
                nsp,
                uid: uid.unwrap_or_default(),
            },
        })
    }

    /// Returns true if a room has a channel of its own.
    fn has_channel(&self, room: &str) -> bool {
        match self.mode {
            Mode::Classic => true,
            Mode::Sharded(SubscriptionMode::Dynamic) => !is_socket_id(room),
            Mode::Sharded(SubscriptionMode::Static) | Mode::Streams(_) => false,
        }
    }

    /// Returns true if a namespace receives the messages of all its rooms by a pattern.
    fn has_pattern(&self, nsp: &str) -> bool {
        let selects = self.patterns.as_ref();
        self.is_classic() && selects.is_some_and(|selects| selects(nsp))
    }
}

/// Returns a text in which the special characters of patterns stand for themselves.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharded(mode: SubscriptionMode) -> RedisSettings {
        RedisSettings {
            mode: Mode::Sharded(mode),
            ..RedisSettings::new()
        }
    }

    fn room<'a>(nsp: &'a str, room: &'a str) -> Channel<'a> {
        Channel::Room { nsp, room }
    }

    const ID: &str = "2zPeIvfvuNOI0LXxAAAA";

    #[test]
    fn names_are_those_of_node() {
        let server = Channel::Server {
            nsp: "/chat",
            uid: "u",
        };
        let dynamic = sharded(SubscriptionMode::Dynamic);
        let all = Channel::Namespace { nsp: "/" };
        assert_eq!(dynamic.name(all), "socket.io#/#");
        assert_eq!(dynamic.name(room("/", "x")), "socket.io#/#x#");
        assert_eq!(dynamic.name(room("/", ID)), "socket.io#/#");
        assert_eq!(dynamic.name(server), "socket.io#/chat#u#");
        let fixed = sharded(SubscriptionMode::Static);
        assert_eq!(fixed.name(room("/", "x")), "socket.io#/#");

        let mut classic = RedisSettings::new();
        assert_eq!(classic.name(room("/", ID)), format!("socket.io#/#{ID}#"));
        assert_eq!(classic.name(room("/", "")), "socket.io#/##");
        let requests = Channel::Requests { nsp: "/" };
        assert_eq!(classic.name(requests), "socket.io-request#/#");
        assert_eq!(classic.name(server), "socket.io-response#/chat#");
        classic.specific_answers = true;
        assert_eq!(classic.name(server), "socket.io-response#/chat#u#");
        let unknown = Channel::Server {
            nsp: "/chat",
            uid: "",
        };
        assert_eq!(classic.name(unknown), "socket.io-response#/chat#");
    }

    #[test]
    fn a_name_means_the_channel_that_was_subscribed_to() {
        let settings = [
            RedisSettings::new(),
            sharded(SubscriptionMode::Dynamic),
            sharded(SubscriptionMode::Static),
        ];
        for settings in settings {
            for channel in [
                Channel::Namespace { nsp: "/#x" },
                room("/", "x"),
                room("/", "a#b#"),
                room("/", ""),
                Channel::Requests { nsp: "/é" },
                Channel::Server { nsp: "/", uid: "u" },
            ] {
                let (topics, channel_use) = settings.topics(channel);
                if let Some(topic) = topics.last() {
                    assert_eq!(settings.channel(&topic.name, channel_use), Some(channel));
                }
            }
        }
    }

    #[test]
    fn a_room_and_a_namespace_may_share_a_channel() {
        let settings = RedisSettings::new();
        let (of_room, room_use) = settings.topics(room("/", "x"));
        let (of_namespace, namespace_use) = settings.topics(Channel::Namespace { nsp: "/#x" });
        assert_eq!(of_room, of_namespace);
        assert_ne!(room_use, namespace_use);
    }

    #[test]
    fn a_pattern_covers_the_rooms_of_its_namespace() {
        let settings = RedisSettings {
            patterns: Some(std::sync::Arc::new(|nsp| nsp.len() > 1)),
            ..RedisSettings::new()
        };
        let all = Channel::Namespace { nsp: "/[a]*" };
        let (topics, channel_use) = settings.topics(all);
        let pattern = Topic::new(TopicKind::Pattern, r"socket.io#/\[a\]\*#*");
        assert_eq!(topics, [pattern]);
        assert_eq!(settings.topics(room("/[a]*", "x")).0, []);
        assert_eq!(settings.topics(room("/", "x")).0.len(), 1);
        assert_eq!(settings.channel("socket.io#/[a]*#", channel_use), Some(all));
        for name in ["x", "", "a#b"] {
            let channel = room("/[a]*", name);
            assert_eq!(
                settings.channel(&settings.name(channel), channel_use),
                Some(channel)
            );
        }
    }
}
