//! The life cycle of a socket, from connecting to closed.

use std::sync::atomic::Ordering;

use super::state::{ConnectOutcome, Ended, SocketState};
use super::{CloseError, Command, Socket};
use crate::metrics::{Counted, Hook};
use crate::outbox::Frame;
use crate::panics::guarded;
use crate::rooms::{Forgotten, History, RoomLimits, Scope};
use proto::socket_io::Kind;
use proto::websocket::{CloseCode, CloseFrame};
use proto::{DisconnectReason, Sid};

impl Socket {
    /// Joins the namespace after middleware have admitted the socket. The CONNECT packet is queued before any event.
    pub(crate) fn connect(&self) -> ConnectOutcome {
        self.join_its_full_id();
        if let Some(history) = self.0.namespace.members.history() {
            return self.connect_with(history);
        }
        if !self.open(None, Vec::new()) {
            return ConnectOutcome::Over;
        }
        self.0.namespace.members.insert(&self.0.member);
        ConnectOutcome::Yes
    }

    /// Returns true if a cluster has to subscribe to rooms before the socket can join.
    pub(crate) fn has_to_hold_rooms(&self) -> bool {
        self.0.namespace.members.has_to_hold(&self.0.member)
    }

    /// Waits until a cluster receives the messages for the rooms of the socket, the one of its id included, so that
    /// other servers reach it as soon as its client is connected.
    pub(crate) async fn hold_rooms(&self) {
        let held = self.0.namespace.members.hold(&self.0.member);
        if let Some(confirmed) = held {
            confirmed.await;
        }
    }

    /// Joins the room `/nsp#sid`, which clients of revision 3 use as their id in a namespace other than `/`.
    fn join_its_full_id(&self) {
        let (id, nsp) = (self.id(), self.nsp());
        if !self.0.client.revision.is_four() && nsp != "/" {
            let room = format!("{nsp}#{id}").into();
            let members = &self.0.namespace.members;
            // A socket that has left meanwhile needs no rooms.
            let _ = members.join(&self.0.member, room, RoomLimits::NONE);
        }
    }

    /// Queues the CONNECT packet and the `missed` events of a resumed session. Returns false if the socket has already
    /// ended.
    pub(super) fn open(&self, pid: Option<Sid>, missed: Vec<Frame>) -> bool {
        let id = self.id();
        let reply = match &pid {
            _ if !self.0.client.revision.is_four() => String::new(),
            None => [r#"{"sid":""#, id.as_str(), r#""}"#].concat(),
            Some(pid) => [
                r#"{"sid":""#,
                id.as_str(),
                r#"","pid":""#,
                pid.as_str(),
                r#""}"#,
            ]
            .concat(),
        };
        let codec = &self.namespace().options.codec;
        let reply = (!reply.is_empty()).then_some(&*reply);
        let packet = codec.plain(Kind::Connect, self.nsp(), reply);
        let mut state = self.0.state.lock();
        if *state != SocketState::Connecting {
            return false;
        }
        // The lock ensures that no event is queued before the CONNECT packet.
        self.push_required(packet);
        for frame in missed {
            self.0.client.outbox.push_missed(frame);
        }
        *state = SocketState::Connected;
        self.0.connected.store(true, Ordering::Release);
        true
    }

    /// Ends the socket: it leaves its namespace and rooms. Returns true for the one caller that has ended it.
    pub(crate) fn end(&self, reason: DisconnectReason) -> bool {
        let mut forgotten = Forgotten::default();
        // With the history locked, a client that resumes meanwhile finds the session either connected or stored.
        let history = self.0.namespace.members.history();
        let mut locked = history.map(History::lock);
        let mut state = self.0.state.lock();
        if matches!(*state, SocketState::Closed(_)) {
            return false;
        }
        let was_connected = *state == SocketState::Connected;
        let ended = Ended {
            reason,
            was_connected,
        };
        *state = SocketState::Closed(ended);
        self.0.connected.store(false, Ordering::Release);
        drop(state);
        if was_connected {
            self.counters().add(Counted::SocketsDisconnected(reason), 1);
        }
        self.drop_held_events();
        self.0.namespace.members.remove(&self.0.member);
        if let Some(locked) = &mut locked {
            self.suspend(locked, ended, &mut forgotten);
        }
        drop(locked);
        drop(forgotten);
        self.0.namespace.sweep();
        self.0.member.close_acks();
        if let Err(panicked) = guarded(|| self.0.closed.notify_waiters()) {
            self.report_panic(Hook::Waker, &panicked);
        }
        true
    }

    /// Returns the end of the socket, if it has ended.
    pub(crate) fn ended(&self) -> Option<Ended> {
        let state = *self.0.state.lock();
        match state {
            SocketState::Closed(ended) => Some(ended),
            SocketState::Connecting | SocketState::Connected => None,
        }
    }

    /// Disconnects the socket from its namespace; the client stays connected to other namespaces, and does not
    /// reconnect automatically. Node's `socket.disconnect()`.
    pub fn disconnect(&self) {
        self.disconnect_from(Scope::Namespace);
    }

    pub(super) fn disconnect_from(&self, scope: Scope) {
        // A socket that middleware have not admitted yet is only ended by its connection.
        if self.connected() && self.end(DisconnectReason::ServerNamespaceDisconnect) {
            self.0.client.command(Command::Left(self.clone()));
        } else {
            self.revoke(scope);
        }
    }

    /// Disconnects the client from all its namespaces, and then closes the connection. The client does not reconnect
    /// automatically. Node's `socket.disconnect(true)`.
    pub fn disconnect_all(&self) {
        self.disconnect_from(Scope::Connection);
        let reason = DisconnectReason::ServerNamespaceDisconnect;
        self.0.client.close(reason);
    }

    /// Closes the underlying connection once all that is queued has been written.
    ///
    /// A WebSocket is closed with this status code and the first 123 bytes of this reason; polling has neither. The
    /// sockets of the connection disconnect with the reason `forced close`.
    ///
    /// No DISCONNECT packet is sent, so the client considers the connection lost and reconnects automatically, unless
    /// its application decides otherwise by the code: official clients have it in the `details.context` of their
    /// `disconnect` event. [`disconnect_all`](Self::disconnect_all) disconnects permanently. Node's
    /// `socket.conn.close()`, which has no code.
    ///
    /// Codes from 4000 to 4999 are reserved for applications.
    ///
    /// ```
    /// # use axum_socketio::Socket;
    /// # use axum_socketio::emit::CloseError;
    /// # fn f(socket: Socket) -> Result<(), CloseError> {
    /// socket.close(4003, "another device has signed in")
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the connection has ended already. If the code must not be sent, such as 1006, the connection is closed
    /// without the code and the reason, an error is logged, and returned.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), CloseError> {
        let farewell = CloseCode::on_wire(code).map(|code| CloseFrame {
            code,
            reason: reason.into(),
        });
        if farewell.is_none() && self.0.client.logs.allow() {
            tracing::error!(code, "not a status code that may be sent");
        }
        let is_valid = farewell.is_some();
        let reason = DisconnectReason::ForcedClose;
        if !self.0.client.command(Command::Close { reason, farewell }) {
            return Err(CloseError::Closed);
        }
        if is_valid {
            Ok(())
        } else {
            Err(CloseError::InvalidCode(code))
        }
    }

    /// Resolves with the reason when the socket has disconnected; at once if it already has.
    ///
    /// ```
    /// # use axum_socketio::Socket;
    /// # async fn work() {}
    /// # async fn f(socket: Socket) {
    /// tokio::select! {
    ///     () = work() => {}
    ///     reason = socket.closed() => println!("left: {reason}"),
    /// }
    /// # }
    /// ```
    pub async fn closed(&self) -> DisconnectReason {
        loop {
            let notified = self.0.closed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(ended) = self.ended() {
                return ended.reason;
            }
            notified.await;
        }
    }
}
