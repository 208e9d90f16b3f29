//! The messages of programs without a server.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::depth::MAX_DEPTH;
use super::{Body, Channel, EMITTER, Family, Flags, Message, Selection};
use crate::{EncodeError, EncodedArgs, Room, Rooms};

/// The namespace and the sockets that an emitter has selected, and the messages to the servers that have them.
#[derive(Clone, Debug)]
pub struct EmitterTarget {
    family: Family,
    nsp: Arc<str>,
    /// The rooms, if any were chosen. An empty list has no members.
    rooms: Option<Vec<Room>>,
    except: Vec<Room>,
    flags: Flags,
}

/// A message of an emitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmitterMessage<'a> {
    /// The channel of the servers that need the message.
    pub channel: Channel<'a>,
    /// The message, encoded.
    pub content: Bytes,
}

impl EmitterTarget {
    /// Selects all sockets of the main namespace, for servers that exchange messages of a family.
    #[must_use]
    pub fn new(family: Family) -> Self {
        Self {
            family,
            nsp: "/".into(),
            rooms: None,
            except: Vec::new(),
            flags: Flags::default(),
        }
    }

    /// Selects a namespace. Its name need not begin with the slash.
    #[must_use]
    pub fn of(mut self, nsp: &str) -> Self {
        let slash = if nsp.starts_with('/') { "" } else { "/" };
        self.nsp = format!("{slash}{nsp}").into();
        self
    }

    /// Adds the sockets that are in any of the rooms.
    #[must_use]
    pub fn to(mut self, rooms: impl Rooms) -> Self {
        add(rooms, self.rooms.get_or_insert_default());
        self
    }

    /// Excludes the sockets that are in any of the rooms.
    #[must_use]
    pub fn except(mut self, rooms: impl Rooms) -> Self {
        add(rooms, &mut self.except);
        self
    }

    /// Makes events volatile.
    #[must_use]
    pub const fn volatile(mut self) -> Self {
        self.flags.volatile = Some(true);
        self
    }

    /// Sends events without compression.
    #[must_use]
    pub const fn uncompressed(mut self) -> Self {
        self.flags.compress = Some(false);
        self
    }

    /// Returns the message that sends an event to the sockets, or `None` if no socket is selected.
    ///
    /// # Errors
    ///
    /// Fails if the event cannot be encoded, is reserved, or is nested too deeply for servers of Node.js.
    pub fn event<T: Serialize>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<Option<EmitterMessage<'_>>, EncodeError> {
        let args = EncodedArgs::event(event, args)?;
        if self.is_empty() {
            return Ok(None);
        }
        let body = Body::Broadcast {
            args: args.json().into(),
            request: None,
            selection: self.selection(),
            extended: false,
        };
        let channel = match self.rooms.as_deref() {
            Some([room]) => Channel::Room {
                nsp: &self.nsp,
                room,
            },
            _ => Channel::Namespace { nsp: &self.nsp },
        };
        shallow(&body)?;
        Ok(Some(self.message(channel, body, args.attachments())))
    }

    /// Returns the message that makes the sockets join rooms, or `None` if there are no rooms or no sockets.
    pub fn join(&self, rooms: impl Rooms) -> Option<EmitterMessage<'_>> {
        self.change(rooms, |selection, rooms| Body::Join { selection, rooms })
    }

    /// Returns the message that makes the sockets leave rooms, or `None` if there are no rooms or no sockets.
    pub fn leave(&self, rooms: impl Rooms) -> Option<EmitterMessage<'_>> {
        self.change(rooms, |selection, rooms| Body::Leave { selection, rooms })
    }

    /// Returns the message that disconnects the sockets from the namespace, or `None` if no socket is selected.
    #[must_use]
    pub fn disconnect(&self) -> Option<EmitterMessage<'_>> {
        self.operation(|selection| Body::Disconnect {
            selection,
            close: false,
        })
    }

    /// Returns the message that closes the connections of the sockets, or `None` if no socket is selected.
    #[must_use]
    pub fn disconnect_all(&self) -> Option<EmitterMessage<'_>> {
        self.operation(|selection| Body::Disconnect {
            selection,
            close: true,
        })
    }

    /// Returns the message that sends an event to the servers with the namespace.
    ///
    /// # Errors
    ///
    /// As [`event`](Self::event). The reserved names are those of events between servers.
    pub fn server_event<T: Serialize>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<EmitterMessage<'_>, EncodeError> {
        let args = EncodedArgs::server_event(event, args)?;
        let body = Body::ServerEvent {
            args: args.json().into(),
            request: None,
            extended: false,
        };
        shallow(&body)?;
        Ok(self.message(self.requests(), body, args.attachments()))
    }

    fn change<'a>(
        &'a self,
        rooms: impl Rooms,
        body: fn(Selection<'a>, Vec<Cow<'a, str>>) -> Body<'a>,
    ) -> Option<EmitterMessage<'a>> {
        let mut names = Vec::new();
        rooms.for_each(&mut |room| names.push(Cow::Owned(room.to_string())));
        if names.is_empty() {
            return None;
        }
        self.operation(|selection| body(selection, names))
    }

    fn operation<'a>(
        &'a self,
        body: impl FnOnce(Selection<'a>) -> Body<'a>,
    ) -> Option<EmitterMessage<'a>> {
        (!self.is_empty()).then(|| self.message(self.requests(), body(self.selection()), &[]))
    }

    fn message<'a>(
        &'a self,
        channel: Channel<'a>,
        body: Body<'_>,
        attachments: &[Bytes],
    ) -> EmitterMessage<'a> {
        let message = Message {
            uid: EMITTER.into(),
            nsp: Cow::Borrowed(&self.nsp),
            body,
            attachments: attachments.into(),
        };
        let content = self.family.encode(&message);
        EmitterMessage { channel, content }
    }

    /// Returns the channel of operations and of events for servers.
    fn requests(&self) -> Channel<'_> {
        let nsp = &*self.nsp;
        match self.family {
            Family::Classic => Channel::Requests { nsp },
            Family::Cluster => Channel::Namespace { nsp },
        }
    }

    /// Returns true if rooms were chosen, but none of them.
    fn is_empty(&self) -> bool {
        self.rooms.as_ref().is_some_and(Vec::is_empty)
    }

    fn selection(&self) -> Selection<'_> {
        let names = |rooms: &'_ [Room]| {
            rooms
                .iter()
                .map(|room| Cow::Owned(room.to_string()))
                .collect()
        };
        Selection {
            rooms: names(self.rooms.as_deref().unwrap_or_default()),
            except: names(&self.except),
            flags: self.flags,
        }
    }
}

fn add(rooms: impl Rooms, to: &mut Vec<Room>) {
    rooms.for_each(&mut |room| {
        if !to.contains(&room) {
            to.push(room);
        }
    });
}

fn shallow(body: &Body<'_>) -> Result<(), EncodeError> {
    if body.is_too_deep() {
        return Err(EncodeError::TooDeep(MAX_DEPTH));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target() -> EmitterTarget {
        EmitterTarget::new(Family::Cluster)
    }

    fn json(message: &EmitterMessage<'_>) -> Value {
        serde_json::from_slice(&message.content).unwrap()
    }

    #[test]
    fn an_event_for_one_room_has_its_channel() {
        let channel = |target: EmitterTarget| {
            let message = target.event("news", &1).unwrap().unwrap();
            match message.channel {
                Channel::Room { nsp, room } => format!("{nsp} {room}"),
                Channel::Namespace { nsp } => nsp.to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(channel(target()), "/");
        assert_eq!(channel(target().of("chat").to("x")), "/chat x");
        assert_eq!(channel(target().of("/chat").to(["x", "x"])), "/chat x");
        assert_eq!(channel(target().to("x").to("y").except("z")), "/");
    }

    #[test]
    fn nothing_is_sent_to_no_room() {
        let nobody = target().to(None::<&str>);
        assert_eq!(nobody.event("news", &1).unwrap(), None);
        assert_eq!(nobody.join("x"), None);
        assert_eq!(nobody.disconnect_all(), None);
        assert_eq!(target().leave(Vec::<String>::new()), None);
        let one = nobody.to("x").except(["y", "z"]).volatile().uncompressed();
        let message = json(&one.event("news", &(1, "a")).unwrap().unwrap());
        let opts = json!({
            "rooms": ["x"], "except": ["y", "z"], "flags": { "volatile": true, "compress": false },
        });
        assert_eq!(message["data"]["opts"], opts);
        assert_eq!(message["data"]["packet"]["data"], json!(["news", 1, "a"]));
        assert_eq!(
            (&message["uid"], &message["nsp"]),
            (&json!("emitter"), &json!("/"))
        );
    }

    #[test]
    fn operations_of_classic_servers_have_a_channel_of_their_own() {
        let nsp = "/chat";
        let of = |family| EmitterTarget::new(family).of(nsp);
        let channel = |target: EmitterTarget| match target.join(["x"]).unwrap().channel {
            Channel::Requests { nsp } => format!("requests {nsp}"),
            Channel::Namespace { nsp } => nsp.to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(channel(of(Family::Classic)), "requests /chat");
        assert_eq!(channel(of(Family::Cluster)), "/chat");
    }

    #[test]
    fn events_that_would_end_a_node_server_are_errors() {
        let mut deep = json!(1);
        for _ in 0..MAX_DEPTH {
            deep = json!([deep]);
        }
        for family in [Family::Classic, Family::Cluster] {
            let target = EmitterTarget::new(family);
            let error = target.event("news", &deep).unwrap_err();
            assert!(matches!(error, EncodeError::TooDeep(_)), "{error}");
            let error = target.server_event("news", &deep).unwrap_err();
            assert!(matches!(error, EncodeError::TooDeep(_)), "{error}");
            for name in ["error", "connection"] {
                assert!(target.server_event(name, &()).is_err());
                assert!(target.event(name, &()).is_ok());
            }
            assert!(target.event("connect", &()).is_err());
        }
    }
}
