//! The subjects of channels.

use std::sync::Arc;

use proto::Sid;
use proto::cluster::Channel;

/// The maximum length of the name of a namespace or room in a subject, in bytes. NATS limits the line that a subject is
/// part of to 4,096 bytes.
const MAX_TOKEN: usize = 1024;

/// A channel that a server subscribes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NatsTopic {
    Namespace { nsp: Arc<str> },
    Room { nsp: Arc<str>, room: Arc<str> },
    Server { nsp: Arc<str>, uid: Arc<str> },
}

impl NatsTopic {
    pub(crate) fn channel(&self) -> Channel<'_> {
        match self {
            Self::Namespace { nsp } => Channel::Namespace { nsp },
            Self::Room { nsp, room } => Channel::Room { nsp, room },
            Self::Server { nsp, uid } => Channel::Server { nsp, uid },
        }
    }
}

/// The names that all members of a cluster have to share.
#[derive(Clone, Debug)]
pub(crate) struct Subjects {
    /// The prefix, as part of a subject.
    prefix: Arc<str>,
}

impl Default for Subjects {
    fn default() -> Self {
        Self::new("socketio")
    }
}

impl Subjects {
    /// Creates the names with a prefix, whose dots separate tokens.
    pub(crate) fn new(prefix: &str) -> Self {
        let tokens: Vec<_> = prefix.split('.').map(token).collect();
        let prefix = tokens.join(".").into();
        Self { prefix }
    }

    /// Returns what has to be subscribed to for a channel, or `None` if NATS has no subject for its namespace, or if
    /// the messages arrive on that of the namespace.
    pub(crate) fn topic(&self, channel: Channel<'_>) -> Option<NatsTopic> {
        self.subject(channel)?;
        let nsp = Arc::from(channel.nsp());
        Some(match channel {
            Channel::Room { room, .. } if room_token(room).is_none() => return None,
            Channel::Room { room, .. } => NatsTopic::Room {
                nsp,
                room: room.into(),
            },
            Channel::Server { uid, .. } => NatsTopic::Server {
                nsp,
                uid: uid.into(),
            },
            Channel::Namespace { .. } | Channel::Requests { .. } => NatsTopic::Namespace { nsp },
        })
    }

    /// Returns the subject to which messages are published, or `None` if the name of the namespace is too long. A room
    /// without a subject of its own has that of its namespace.
    pub(crate) fn subject(&self, channel: Channel<'_>) -> Option<String> {
        let prefix = &self.prefix;
        let nsp = token(channel.nsp());
        if nsp.len() > MAX_TOKEN {
            return None;
        }
        let room = match channel {
            Channel::Room { room, .. } => room_token(room),
            _ => None,
        };
        Some(match (channel, room) {
            (Channel::Room { .. }, Some(room)) => format!("{prefix}.r.{nsp}.{room}"),
            (Channel::Server { uid, .. }, _) => format!("{prefix}.s.{nsp}.{}", token(uid)),
            _ => format!("{prefix}.n.{nsp}"),
        })
    }

    /// Returns the subject by which a connection finds out that its subscriptions have been made.
    pub(crate) fn echo(&self, publisher: u64) -> String {
        format!("{}.e.{publisher:016x}", self.prefix)
    }
}

/// Returns the token of a room, or `None` if it has no subject: the name is too long, or that of a socket's own room.
fn room_token(room: &str) -> Option<String> {
    if room.parse::<Sid>().is_ok() {
        return None;
    }
    let token = token(room);
    (token.len() <= MAX_TOKEN).then_some(token)
}

/// Returns a name as a token of a subject. Two names never have the same token.
fn token(name: &str) -> String {
    let mut token = String::with_capacity(name.len().max(1));
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_/:#@".contains(&byte) {
            token.push(char::from(byte));
        } else {
            token.push('%');
            token.push(hex(byte >> 4));
            token.push(hex(byte & 15));
        }
    }
    if token.is_empty() {
        // A token cannot be empty, and no other name has this one.
        token.push('%');
    }
    token
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room<'a>(nsp: &'a str, room: &'a str) -> Channel<'a> {
        Channel::Room { nsp, room }
    }

    fn subject(channel: Channel<'_>) -> String {
        Subjects::default().subject(channel).unwrap()
    }

    #[test]
    fn names_are_tokens_whatever_they_contain() {
        assert_eq!(subject(Channel::Namespace { nsp: "/" }), "socketio.n./");
        assert_eq!(
            subject(room("/chat", "a-b_C:1")),
            "socketio.r./chat.a-b_C:1"
        );
        assert_eq!(subject(room("/", "a.b *>")), "socketio.r./.a%2eb%20%2a%3e");
        assert_eq!(subject(room("/", "")), "socketio.r./.%");
        assert_eq!(
            subject(room("/", "ü\r\n\0")),
            "socketio.r./.%c3%bc%0d%0a%00"
        );
        let server = Channel::Server { nsp: "/", uid: "u" };
        assert_eq!(subject(server), "socketio.s./.u");
        let names = Subjects::new("my app.io");
        assert_eq!(
            names.subject(Channel::Namespace { nsp: "/" }).unwrap(),
            "my%20app.io.n./"
        );
        assert_eq!(names.echo(255), "my%20app.io.e.00000000000000ff");
    }

    #[test]
    fn different_names_have_different_subjects() {
        let names = [
            "", "%", "%25", ".", "a", "A", "a.b", "a%2eb", "n", "/", "a b", "a  b",
        ];
        for one in names {
            for two in names {
                let equal = subject(room("/", one)) == subject(room("/", two));
                assert_eq!(equal, one == two, "{one} {two}");
                assert_ne!(
                    subject(room(one, two)),
                    subject(Channel::Namespace { nsp: one })
                );
            }
        }
    }

    #[test]
    fn rooms_without_a_subject_have_that_of_their_namespace() {
        let names = Subjects::default();
        let own: Sid = "2zPeIvfvuNOI0LXxAAAA".parse().unwrap();
        let long = "x".repeat(MAX_TOKEN + 1);
        for name in [own.as_str(), &long] {
            assert_eq!(subject(room("/", name)), "socketio.n./");
            assert_eq!(names.topic(room("/", name)), None);
        }
        let longest = "x".repeat(MAX_TOKEN);
        assert!(names.topic(room("/", &longest)).is_some());
        assert_eq!(names.subject(Channel::Namespace { nsp: &long }), None);
        assert_eq!(names.topic(Channel::Namespace { nsp: &long }), None);
    }

    #[test]
    fn a_topic_is_the_channel_that_was_subscribed_to() {
        for channel in [
            Channel::Namespace { nsp: "/" },
            room("/a.b", "c d"),
            Channel::Server { nsp: "/", uid: "u" },
        ] {
            let topic = Subjects::default().topic(channel).unwrap();
            assert_eq!(topic.channel(), channel);
        }
    }
}
