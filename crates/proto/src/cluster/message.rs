//! The messages of a cluster.

use std::borrow::Cow;

use bytes::Bytes;

/// A message from one server to others, about one namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// The id of the sender. An emitter, which is no server, sends `emitter`. It is empty in answers of the classic
    /// adapter of Redis, and in some messages of its emitter.
    pub uid: Cow<'a, str>,
    /// The namespace, with its slash.
    pub nsp: Cow<'a, str>,
    /// The content.
    pub body: Body<'a>,
    /// The binary values, to which placeholders in the JSON texts of the body refer by number.
    pub attachments: Cow<'a, [Bytes]>,
}

/// The content of a message. Texts named `args` or `answer` are JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    /// A server has started, and asks the others for a heartbeat.
    InitialHeartbeat,
    /// A server is alive.
    Heartbeat,
    /// A server is leaving.
    Close,
    /// An event for clients.
    Broadcast {
        /// The array of the event's name and its arguments.
        args: Cow<'a, str>,
        /// The id of the request, if acknowledgements are requested.
        request: Option<Cow<'a, str>>,
        /// The recipients.
        selection: Selection<'a>,
        /// True if the sender understands the members that only servers of this crate write.
        extended: bool,
    },
    /// Sockets join rooms.
    Join {
        /// The sockets.
        selection: Selection<'a>,
        /// The rooms that they join.
        rooms: Vec<Cow<'a, str>>,
    },
    /// Sockets leave rooms.
    Leave {
        /// The sockets.
        selection: Selection<'a>,
        /// The rooms that they leave.
        rooms: Vec<Cow<'a, str>>,
    },
    /// Sockets are disconnected.
    Disconnect {
        /// The sockets.
        selection: Selection<'a>,
        /// True if their connections are closed as well.
        close: bool,
    },
    /// A request for the sockets of a selection.
    Fetch {
        /// The id of the request.
        request: Cow<'a, str>,
        /// The sockets.
        selection: Selection<'a>,
        /// The part of the answer that the sender needs. Node.js always answers with the sockets.
        wanted: Wanted,
    },
    /// The answer to [`Fetch`](Self::Fetch).
    FetchAnswer {
        /// The id of the request.
        request: Cow<'a, str>,
        /// The answer.
        answer: FetchAnswer<'a>,
    },
    /// An event for servers.
    ServerEvent {
        /// The array of the event's name and its arguments.
        args: Cow<'a, str>,
        /// The id of the request, if answers are requested.
        request: Option<Cow<'a, str>>,
        /// True if the sender understands the members that only servers of this crate write.
        extended: bool,
    },
    /// The answer of a server to [`ServerEvent`](Self::ServerEvent).
    ServerAnswer {
        /// The id of the request.
        request: Cow<'a, str>,
        /// The first argument of the answer, or `None` if the server has no answer.
        answer: Option<Cow<'a, str>>,
        /// The array of all arguments, if there is not exactly one.
        args: Option<Cow<'a, str>>,
    },
    /// The number of clients that a server has sent a broadcast with acknowledgements to.
    ClientCount {
        /// The id of the request.
        request: Cow<'a, str>,
        /// The number of clients.
        count: u64,
        /// The ids of their sockets, if the sender of the request is extended.
        sids: Vec<Cow<'a, str>>,
    },
    /// The acknowledgement of one client.
    ClientAnswer {
        /// The id of the request.
        request: Cow<'a, str>,
        /// The id of the socket, if the sender of the request is extended.
        sid: Option<Cow<'a, str>>,
        /// The acknowledgement.
        answer: ClientAnswer<'a>,
    },
    /// The sender needs no more answers to a request. Only servers of this crate send it.
    Abandon {
        /// The id of the request.
        request: Cow<'a, str>,
    },
    /// One socket is changed by its server. Only old Node.js servers with the classic adapter of Redis send it.
    Single {
        /// The id of the request.
        request: Option<Cow<'a, str>>,
        /// The id of the socket.
        sid: Cow<'a, str>,
        /// The change.
        change: Change<'a>,
    },
    /// The answer to [`Single`](Self::Single) of the server that has the socket.
    SingleDone {
        /// The id of the request.
        request: Cow<'a, str>,
    },
}

/// A change of one socket.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<'a> {
    /// It joins a room.
    Join(Cow<'a, str>),
    /// It leaves a room.
    Leave(Cow<'a, str>),
    /// It is disconnected, with its connection if this is true.
    Disconnect(bool),
}

/// The form of the messages that an engine carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// The form of the Node.js adapters for sharded Redis, Redis Streams and PostgreSQL: each message names its sender,
    /// its namespace and its type.
    #[default]
    Cluster,
    /// The form of the first adapter for Redis, `createAdapter` of `@socket.io/redis-adapter`. The channel determines
    /// the namespace of a message, and its kind: an event, a request or an answer.
    Classic,
}

/// The outcome for one client of a broadcast with acknowledgements.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientAnswer<'a> {
    /// The client has acknowledged the event.
    Answered {
        /// The first argument of the acknowledgement.
        answer: Cow<'a, str>,
        /// The array of all arguments, if there is not exactly one.
        args: Option<Cow<'a, str>>,
    },
    /// The client has disconnected without an acknowledgement.
    Left,
    /// The event could not be sent to the client.
    Unsent,
}

/// The part of the answer to [`Body::Fetch`] that is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The sockets.
    #[default]
    Sockets,
    /// The number of the sockets.
    Count,
    /// The rooms of the namespace with their numbers of sockets.
    Rooms,
    /// The ids of the sockets. Only old Node.js servers with the classic adapter of Redis need them alone.
    Ids,
    /// The names of the rooms of the namespace, sockets' own included. Only Node.js servers with the classic adapter of
    /// Redis need them alone.
    RoomNames,
}

/// The answer to [`Body::Fetch`].
#[derive(Clone, Debug, PartialEq)]
pub enum FetchAnswer<'a> {
    /// The sockets.
    Sockets(Vec<SocketFacts<'a>>),
    /// The number of the sockets.
    Count(u64),
    /// The rooms with their numbers of sockets.
    Rooms(Vec<(Cow<'a, str>, u64)>),
    /// The ids of the sockets.
    Ids(Vec<Cow<'a, str>>),
    /// The names of the rooms.
    RoomNames(Vec<Cow<'a, str>>),
}

/// A socket, as its server describes it to others.
#[derive(Clone, Debug, PartialEq)]
pub struct SocketFacts<'a> {
    /// The id of the socket.
    pub id: Cow<'a, str>,
    /// The JSON object of the handshake.
    pub handshake: Cow<'a, str>,
    /// The rooms, including the one of its own id.
    pub rooms: Vec<Cow<'a, str>>,
    /// The JSON value that the application has attached to the socket.
    pub data: Cow<'a, str>,
}

/// The sockets of a message, and the options of an event for them. Without rooms, all sockets of the namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection<'a> {
    /// The rooms whose sockets are selected.
    pub rooms: Vec<Cow<'a, str>>,
    /// The rooms whose sockets are excluded.
    pub except: Vec<Cow<'a, str>>,
    /// The options.
    pub flags: Flags,
}

impl Selection<'_> {
    /// Returns the selection with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Selection<'static> {
        let owned = |names: Vec<Cow<'_, str>>| {
            let owned = names.into_iter().map(|name| Cow::Owned(name.into_owned()));
            owned.collect()
        };
        Selection {
            rooms: owned(self.rooms),
            except: owned(self.except),
            flags: self.flags,
        }
    }
}

/// The options of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Drop the event for clients that cannot be written to at once.
    pub volatile: Option<bool>,
    /// Compress the event, where the client supports it.
    pub compress: Option<bool>,
    /// The sender expects one answer only.
    pub expect_single_response: Option<bool>,
    /// The time that the sender waits for answers, in milliseconds.
    pub timeout: Option<u64>,
}

/// The members that only servers of this crate write.
pub(super) mod extension {
    /// Marks a request whose sender understands the other members.
    pub(in crate::cluster) const EXTENDED: &str = "ext";
    pub(in crate::cluster) const WANTED: &str = "wanted";
    pub(in crate::cluster) const COUNT: &str = "count";
    pub(in crate::cluster) const ROOM_COUNTS: &str = "roomCounts";
    pub(in crate::cluster) const ARGS: &str = "args";
    pub(in crate::cluster) const SID: &str = "sid";
    pub(in crate::cluster) const SIDS: &str = "sids";
    pub(in crate::cluster) const OUTCOME: &str = "outcome";
}

impl Body<'_> {
    /// Returns true if the message answers a request of this server.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::FetchAnswer { .. }
                | Self::ServerAnswer { .. }
                | Self::ClientCount { .. }
                | Self::ClientAnswer { .. }
        )
    }

    /// Returns the number of the type.
    pub(super) const fn kind(&self) -> u64 {
        match self {
            Self::InitialHeartbeat => 1,
            Self::Heartbeat => 2,
            Self::Broadcast { .. } => 3,
            Self::Join { .. } => 4,
            Self::Leave { .. } => 5,
            Self::Disconnect { .. } => 6,
            Self::Fetch { .. } => 7,
            Self::FetchAnswer { .. } => 8,
            Self::ServerEvent { .. } => 9,
            Self::ServerAnswer { .. } => 10,
            Self::ClientCount { .. } => 11,
            Self::ClientAnswer { .. } => 12,
            Self::Close => 13,
            Self::Abandon { .. } => 100,
            // The family of these has numbers of its own.
            Self::Single { .. } | Self::SingleDone { .. } => 101,
        }
    }
}
