//! The handle of a socket.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytestring::ByteString;
use http::Extensions;
use tokio::sync::Notify;

use super::ack_claims::{AckClaim, AckClaims, RequestedAck};
use super::answer::AckBody;
use super::client::{Client, Command};
use super::early::EarlyEvents;
use super::event_context::BoxHandler;
use super::event_name::EventName;
use super::handshake::issued_now;
use super::namespace_handlers::{SocketMember, SocketNamespace};
use super::own_handlers::OwnHandlers;
use super::recovery::{RecoveryState, StoredValues};
use super::request::SocketRequest;
use super::state::SocketState;
use super::values::{SocketValue, SocketValues};
use crate::http::OpeningRequest;
use crate::metrics::Counters;
use crate::outbox::Frame;
use crate::rooms::recovery::{Position, SavedSession};
use crate::rooms::{
    HandshakeJson, JoinError, Joined, Link, Member, Room, Rooms, Scope, SharedHandshake,
};
use crate::sync::Lock;
use proto::engine_io::Transport;
use proto::{DisconnectReason, Sid};

/// A client in a namespace; the handle that handlers receive. It can be cloned cheaply.
///
/// The handle may be stored after the client has left: then `emit` returns
/// [`EmitError::Closed`](crate::emit::EmitError::Closed), and [`id`](Self::id), [`rooms`](Self::rooms) and the values
/// that middleware have stored can still be read. Node's `Socket`.
///
/// ```
/// use axum_socketio::{Data, Socket};
///
/// async fn message(socket: Socket, Data((room, text)): Data<(String, String)>) {
///     socket.to(&room).emit("message", (socket.id(), text));
/// }
/// ```
#[derive(Clone)]
pub struct Socket(pub(super) Arc<Inner>);

/// A reference to a socket that does not keep it, for the extensions of its request.
#[derive(Clone)]
pub(crate) struct SocketReference(Weak<Inner>);

impl SocketReference {
    /// Returns the socket, which exists as long as a handler runs for it.
    pub(crate) fn socket(&self) -> Option<Socket> {
        self.0.upgrade().map(Socket)
    }
}

/// The state of a socket, which all of its handles share.
pub(crate) struct Inner {
    pub(super) namespace: Arc<SocketNamespace>,
    pub(super) client: Arc<Client>,
    pub(super) member: Arc<SocketMember>,
    /// The JSON object of the CONNECT packet.
    pub(super) auth: Option<ByteString>,
    /// The time of its CONNECT, in milliseconds since 1970.
    pub(super) issued: u64,
    pub(super) state: Lock<SocketState>,
    /// True if the state is `Connected`. It is outside of the lock because each event and each emit reads it.
    pub(super) connected: AtomicBool,
    pub(super) early: EarlyEvents,
    pub(super) closed: Notify,
    pub(super) request: SocketRequest,
    pub(super) handlers: OwnHandlers<BoxHandler<AckBody>>,
    pub(super) ack_claims: AckClaims,
    /// The number of handlers that have started and not ended.
    pub(super) pending: AtomicUsize,
    /// The recovery state, if the namespace has a history.
    pub(super) recovery: Option<Box<Lock<RecoveryState>>>,
}

impl Socket {
    /// Creates a socket. `recovery` is present if the namespace has a history.
    pub(crate) fn new(
        id: Sid,
        namespace: Arc<SocketNamespace>,
        client: Arc<Client>,
        auth: Option<ByteString>,
        extensions: Option<Box<Extensions>>,
        recovery: Option<RecoveryState>,
    ) -> Self {
        let stays = recovery.as_ref().and_then(RecoveryState::stays);
        let (stays, known_after) = stays.unwrap_or_default();
        client.add_auth(auth.as_deref().map_or(0, str::len));
        let socket = Self(Arc::new_cyclic(|link: &Weak<Inner>| Inner {
            member: Arc::new(
                Member::new(id, Arc::clone(&client.outbox), link.clone())
                    .observed(!namespace.handlers.outgoing.is_empty())
                    .returning(stays, known_after),
            ),
            namespace,
            client,
            auth,
            issued: issued_now(),
            state: Lock::new(SocketState::Connecting),
            connected: AtomicBool::new(false),
            early: EarlyEvents::default(),
            closed: Notify::new(),
            request: SocketRequest::new(extensions),
            handlers: OwnHandlers::default(),
            ack_claims: AckClaims::default(),
            pending: AtomicUsize::new(0),
            recovery: recovery.map(|recovery| Box::new(Lock::new(recovery))),
        }));
        socket.take_stored_values();
        socket
    }

    /// Returns the id of the socket: 20 characters, known to its client. It differs from the secret id of the session,
    /// except for clients of [revision 3](Self::protocol), which have only one id. Node's `socket.id`.
    #[must_use]
    pub fn id(&self) -> Sid {
        self.0.member.id
    }

    /// Returns the name of the namespace, with the slash.
    #[must_use]
    pub fn nsp(&self) -> &str {
        &self.0.namespace.name
    }

    /// Returns the current transport of the client: a polling client may upgrade to WebSocket later.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.0.client.transport()
    }

    /// Returns the revision of Engine.IO that the client speaks: 4, or 3 if the builder's `allow_eio3` admits older
    /// clients. Node's `socket.conn.protocol`.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.0.client.revision.number()
    }

    /// Returns true if the socket is connected: middleware have admitted it and it has not left.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.0.connected.load(Ordering::Acquire)
    }

    pub(super) fn reference(&self) -> SocketReference {
        SocketReference(Arc::downgrade(&self.0))
    }

    /// Returns the name of an event, as its handler is registered with the namespace.
    pub(crate) fn event_name<'a>(&'a self, event: &'a EventName) -> &'a str {
        self.0.namespace.handlers.name(event)
    }

    /// Returns true if the client has resumed its session after it had lost its connection: the socket has its previous
    /// id, rooms and values, and missed events have been sent. Always false without
    /// [`Recovery`](crate::config::Recovery). Node's `socket.recovered`.
    #[must_use]
    pub fn recovered(&self) -> bool {
        let recovery = self.0.recovery.as_ref();
        recovery.is_some_and(|recovery| recovery.lock().recovered())
    }

    /// Joins rooms, at once. A room beyond the builder's `max_rooms`, or with a name longer than `max_room_len`, is not
    /// joined, and a warning is logged.
    ///
    /// The result may be ignored, returned from a handler, or awaited; see [`Joined`]. In a cluster, it is complete
    /// when this server receives what other servers emit to the rooms.
    pub fn join(&self, rooms: impl Rooms) -> Joined {
        let mut joined = Ok(());
        let mut expected = Vec::new();
        rooms.for_each(&mut |room: Room| match self.join_room(Arc::clone(&room)) {
            Ok(()) => expected.extend(self.0.namespace.members.confirmation(&room)),
            Err(error) => {
                self.log_not_joined(&error);
                if joined.is_ok() {
                    joined = Err(error);
                }
            }
        });
        Joined::new(joined, expected)
    }

    fn join_room(&self, room: Room) -> Result<(), JoinError> {
        let SocketNamespace {
            members, options, ..
        } = &*self.0.namespace;
        members.join(&self.0.member, room, options.room_limits)
    }

    /// Logs a room that was not joined. The log is limited, as clients may choose the rooms and ask for any number of
    /// them.
    fn log_not_joined(&self, error: &JoinError) {
        let (reason, limit) = match error {
            JoinError::NameTooLong(limit) => ("name too long; see max_room_len", limit),
            JoinError::TooManyRooms(limit) => ("too many rooms; see max_rooms", limit),
            JoinError::Closed => return,
        };
        if self.0.client.logs.allow() {
            tracing::warn!(socket = %self.id(), reason, limit, "room not joined");
        }
    }

    /// Leaves rooms.
    pub fn leave(&self, rooms: impl Rooms) {
        rooms.for_each(&mut |room: Room| self.0.namespace.members.leave(&self.0.member, &room));
    }

    /// Returns the rooms in the order of joining, starting with the room of the socket's own id. After the socket has
    /// left, they are the rooms that it was in.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let mut rooms = self.0.member.rooms();
        rooms.insert(0, self.id().as_str().into());
        rooms
    }

    /// Returns true if the socket is in a room, or was in it when it left.
    #[must_use]
    pub fn is_in(&self, room: impl AsRef<str>) -> bool {
        let room = room.as_ref();
        *room == *self.id().as_str() || self.0.member.is_in(room)
    }

    /// Stores a value with the socket, and replaces one of the same type.
    ///
    /// [`get`](Self::get) and `Extension<T>` return it from the next event on. A middleware returns an `Extension`
    /// instead. It corresponds to Node's `socket.data` within one server; other servers see only
    /// [`set_data`](Self::set_data).
    ///
    /// The value lives as long as the socket: a value that holds the socket keeps both alive forever. Store the
    /// [`id`](Self::id) instead.
    pub fn insert<T: Clone + Send + Sync + 'static>(&self, value: T) {
        self.add_values(vec![SocketValue::new(value)]);
    }

    /// Returns a value that was stored with [`insert`](Self::insert), returned by a middleware as `Extension<T>`, or
    /// added to the handshake's request by a layer.
    #[must_use]
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.0.request.get(&self.0.client.handshake)
    }

    /// Removes a value that was stored with [`insert`](Self::insert), or returned by a middleware as `Extension<T>`,
    /// and returns it. Handlers see it no longer from the next event on. A value of the handshake's request stays.
    #[expect(clippy::must_use_candidate, reason = "a value may be removed unread")]
    pub fn remove<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.0.request.remove()
    }

    pub(crate) fn auth_text(&self) -> Option<ByteString> {
        self.0.auth.clone()
    }

    pub(crate) fn auth(&self) -> Option<&str> {
        self.0.auth.as_deref()
    }

    pub(crate) fn member(&self) -> &Arc<SocketMember> {
        &self.0.member
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.namespace.counters
    }

    pub(crate) fn namespace(&self) -> &Arc<SocketNamespace> {
        &self.0.namespace
    }

    /// Adds values to the request's extensions, which the next handler sees.
    pub(crate) fn add_values(&self, values: SocketValues) {
        self.0.request.add(values);
    }

    pub(crate) fn add_pending(&self) {
        self.0.pending.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_pending(&self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns a guard that keeps the next event of the socket from starting.
    pub(crate) fn hold(&self) -> Hold {
        self.0.request.begin();
        Hold(self.clone())
    }

    /// Wakes the connection's task, since a waiting event may be able to start.
    pub(crate) fn wake_connection(&self) {
        self.0.client.outbox.notify_writer();
    }

    /// Returns true if a handler of this socket is still taking its arguments, or may not take them yet.
    pub(crate) fn is_extracting(&self) -> bool {
        self.0.request.is_extracting()
    }

    /// Returns true if the next event of the socket may start.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_extracting() && !self.has_max_pending()
    }

    /// Returns true if the maximum number of the socket's handlers is running.
    pub(crate) fn has_max_pending(&self) -> bool {
        self.0.pending.load(Ordering::Relaxed) >= self.0.namespace.options.max_pending
    }

    /// Returns true if the server has ended the socket: then events that its client sent before are dropped.
    pub(crate) fn ended_by_server(&self) -> bool {
        !self.connected()
            && self
                .ended()
                .is_some_and(|ended| ended.reason.is_by_server())
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(super) fn request(&self) -> &SocketRequest {
        &self.0.request
    }

    pub(super) fn handshake(&self) -> &OpeningRequest {
        &self.0.client.handshake
    }

    /// Takes the acknowledgement over for a handler.
    pub(crate) fn take_ack(&self, requested: RequestedAck) -> AckClaim {
        self.0.ack_claims.take(requested)
    }

    /// Returns the acknowledgement that a handler took over, when the handler has ended.
    pub(crate) fn end_ack(&self, requested: RequestedAck) -> Option<AckClaim> {
        self.0.ack_claims.end(requested)
    }

    /// Records that an `Ack` was sent or dropped.
    pub(crate) fn release_ack(&self) {
        self.0.ack_claims.release();
        // A connection that drains may wait for it.
        if self.0.client.is_draining() {
            self.wake_connection();
        }
    }

    /// Returns true if an `Ack` of this socket may still be sent.
    pub(crate) fn has_open_acks(&self) -> bool {
        self.0.ack_claims.any_open()
    }

    /// Returns the socket of this id in a namespace, if it is connected to this server.
    pub(crate) fn find(namespace: &SocketNamespace, id: Sid) -> Option<Self> {
        Self::of(&*namespace.members.get(id)?)
    }

    /// Returns the socket of a member, unless it has been dropped.
    pub(crate) fn of(member: &SocketMember) -> Option<Self> {
        member.link.upgrade().map(Self)
    }
}

/// A guard that keeps the next event from starting; see [`Socket::hold`].
#[derive(Debug)]
pub(crate) struct Hold(Socket);

impl Hold {
    /// Lets the next event start.
    pub(crate) fn release(self) {
        drop(self);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.request().end();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let auth = self.auth.as_deref().map_or(0, str::len);
        self.client.remove_auth(auth);
    }
}

impl Link for Inner {
    type Values = Arc<StoredValues>;

    fn disconnect(self: &Arc<Self>, scope: Scope) {
        let socket = Socket(Arc::clone(self));
        match scope {
            Scope::Namespace => socket.disconnect(),
            Scope::Connection => socket.disconnect_all(),
        }
    }

    fn outgoing(self: &Arc<Self>, frame: &Frame) {
        let socket = Socket(Arc::clone(self));
        self.namespace.handlers.outgoing.call(&socket, frame);
    }

    fn supersede(self: &Arc<Self>) {
        let reason = DisconnectReason::TransportClose;
        Socket(Arc::clone(self)).end(reason);
        self.client.command(Command::Lost(reason));
    }

    fn data(&self) -> Arc<str> {
        self.data_json()
    }

    fn handshake(self: &Arc<Self>) -> Option<SharedHandshake> {
        Some(SharedHandshake(Arc::clone(self) as Arc<dyn HandshakeJson>))
    }

    fn saved(&self, floor: Position) -> Option<(Sid, SavedSession)> {
        let (pid, since) = { self.recovery.as_ref()?.lock() }.own_session()?;
        let (id, rooms) = (self.member.id, self.member.rooms());
        let session = SavedSession {
            id,
            rooms,
            data: String::from(&*self.data_json()),
            since: Some(since),
            floor,
            expires: self.expires(),
        };
        Some((pid, session))
    }

    fn surrender(self: &Arc<Self>) {
        if let Some(recovery) = &self.recovery {
            recovery.lock().surrender();
        }
        self.supersede();
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id())
            .field("nsp", &self.nsp())
            .field("state", &*self.0.state.lock())
            .finish_non_exhaustive()
    }
}
