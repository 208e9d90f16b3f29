//! From connecting to closed.

use std::sync::atomic::Ordering;

use super::Socket;
use crate::engine::{DisconnectReason, Frame};
use crate::hub::Command;
use crate::metrics::Counted;
use crate::panics::guarded;
use crate::protocol::Sid;
use crate::protocol::socket_io::Kind;
use crate::protocol::websocket::{CloseCode, CloseFrame};
use crate::rooms::{Forgotten, History, Scope};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Middleware are deciding.
    Connecting,
    Connected,
    Closed(Ended),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) reason: DisconnectReason,
    /// Whether it was connected before. If not, nobody has seen it, and nobody is told.
    pub(crate) was_connected: bool,
}

/// What became of a socket that middleware have admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connected {
    Yes,
    /// It is over already.
    Over,
    /// Meanwhile not all is kept any more that its client has missed, or the server does not want it back: it can only be a new
    /// socket.
    Outdated,
}

impl Socket {
    /// Middleware have admitted it: it joins the namespace, behind the packet that tells its client.
    pub(crate) fn connect(&self) -> Connected {
        self.join_its_full_id();
        if let Some(history) = self.0.nsp.members.history() {
            return self.come_back(history);
        }
        if !self.open(None, Vec::new()) {
            return Connected::Over;
        }
        self.0.nsp.members.insert(&self.0.member);
        Connected::Yes
    }

    /// Clients of revision 3 take `/nsp#sid` for their id in a namespace other than `/`: who sends to that room reaches them.
    fn join_its_full_id(&self) {
        let (id, nsp) = (self.id(), self.nsp());
        if !self.0.client.revision.is_four() && nsp != "/" {
            let room = format!("{nsp}#{id}").into();
            self.0.nsp.members.join(&self.0.member, room, usize::MAX);
        }
    }

    /// Tells its client, who has `missed` something if it comes back.
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
        if *state != State::Connecting {
            return false;
        }
        // Under the lock: nobody may emit before the client knows of the socket.
        self.push_owed(packet);
        for frame in missed {
            self.0.client.outbox.push_missed(frame);
        }
        *state = State::Connected;
        self.0.connected.store(true, Ordering::Release);
        true
    }

    /// It leaves its namespace and rooms. Returns true for the one caller who ended it.
    pub(crate) fn end(&self, reason: DisconnectReason) -> bool {
        let mut forgotten = Forgotten::default();
        // Who comes back meanwhile finds it here or away, but nowhere between.
        let history = self.0.nsp.members.history();
        let mut kept = history.map(History::lock);
        let mut state = self.0.state.lock();
        if matches!(*state, State::Closed(_)) {
            return false;
        }
        let was_connected = *state == State::Connected;
        let ended = Ended {
            reason,
            was_connected,
        };
        *state = State::Closed(ended);
        self.0.connected.store(false, Ordering::Release);
        drop(state);
        if was_connected {
            self.counters()
                .add_for(Counted::SocketsDisconnected, reason.as_str(), 1);
        }
        self.0.nsp.members.remove(&self.0.member);
        if let Some(kept) = &mut kept {
            self.keep(kept, ended, &mut forgotten);
        }
        drop(kept);
        drop(forgotten);
        self.0.nsp.sweep();
        self.0.member.close_acks();
        if let Err(panicked) = guarded(|| self.0.closed.notify_waiters()) {
            self.hook_panicked("waker", &panicked);
        }
        true
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<Ended> {
        let state = *self.0.state.lock();
        match state {
            State::Closed(ended) => Some(ended),
            State::Connecting | State::Connected => None,
        }
    }

    /// Disconnects it from its namespace; the client stays connected to others. Its client does not reconnect by
    /// itself. Node's `socket.disconnect()`.
    pub fn disconnect(&self) {
        self.disconnect_from(Scope::Namespace);
    }

    pub(super) fn disconnect_from(&self, scope: Scope) {
        // What middleware are still deciding about is ended by the connection alone.
        if self.connected() && self.end(DisconnectReason::ServerNamespaceDisconnect) {
            self.0.client.command(Command::Left(self.clone()));
        } else {
            self.revoke(scope);
        }
    }

    /// Disconnects the client from all its namespaces, and then closes the connection. Its client does not reconnect by
    /// itself. Node's `socket.disconnect(true)`.
    pub fn disconnect_all(&self) {
        self.disconnect_from(Scope::Connection);
        let reason = DisconnectReason::ServerNamespaceDisconnect;
        self.0.client.close(reason);
    }

    /// Closes the connection beneath, once all that is queued has been written: over WebSocket with this status code and this
    /// reason, of which 123 bytes are sent; over polling plainly. Its sockets leave with the reason `forced close`.
    ///
    /// No namespace is told. So the client takes the connection for lost, and reconnects by itself, unless its application
    /// finds in the code that it should not: official clients have it in the `details.context` of their `disconnect` event.
    /// [`disconnect_all`](Self::disconnect_all) is for good. Node's `socket.conn.close()`, which has no code.
    ///
    /// Codes from 4000 to 4999 are the application's own. One that must not be sent, such as 1006, is left out together with
    /// the reason, and the server's log says so.
    ///
    /// ```
    /// # use axum_socketio::Socket;
    /// # fn f(socket: Socket) {
    /// socket.close(4003, "another device has signed in");
    /// # }
    /// ```
    pub fn close(&self, code: u16, reason: &str) {
        let farewell = CloseCode::on_wire(code).map(|code| CloseFrame {
            code,
            reason: reason.into(),
        });
        if farewell.is_none() && self.0.client.logs.allow() {
            tracing::error!(code, "not a status code that may be sent");
        }
        let reason = DisconnectReason::ForcedClose;
        self.0.client.command(Command::Close { reason, farewell });
    }

    /// Resolves when it has disconnected, with the reason; at once if it has already.
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
