//! How sockets leave: by their clients, by the server, with their connection, or in a shutdown.

use std::task::Context;

use super::dispatch::Dispatch;
use super::running::Work;
use crate::connection::Violation;
use crate::engine::DisconnectReason;
use crate::hub::{Ended, Socket};
use crate::protocol::socket_io::Kind;

impl Dispatch {
    /// Starts no more events, and refuses who has not been admitted yet; handlers that are under way go on.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        let dropped = self.router.drain() + self.lanes.empty(|_| true);
        if dropped > 0 {
            tracing::debug!(dropped, "events that waited are not handled: shutting down");
        }
        let sockets: Vec<_> = self.router.sockets().cloned().collect();
        for socket in sockets.iter().filter(|socket| !socket.connected()) {
            // One that has ended has its disconnect on the way here.
            if socket.end(DisconnectReason::ServerShuttingDown) {
                self.finish(socket);
            }
        }
        // What goes wrong now concerns nobody: the connection is closed next.
        while self.go_on(cx).is_err() {}
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the connection is draining, and nothing is under way that its client may be answered by.
    pub(super) fn is_drained(&self) -> bool {
        self.draining
            && !self.handlers.any_may_answer()
            && !self.router.sockets().any(Socket::has_open_acks)
    }

    /// Drops the handlers that are under way. Returns how many there were.
    pub(super) fn cut_off(&mut self) -> usize {
        self.handlers.cut_off()
    }

    /// The server has disconnected the socket, unless its client left before.
    pub(super) fn left_by_server(
        &mut self,
        socket: &Socket,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        self.leave_by_server(socket);
        self.go_on(cx)
    }

    pub(super) fn leave_by_server(&mut self, socket: &Socket) {
        if self.router.left(socket) {
            Self::tell_disconnected(socket);
            self.finish(socket);
        }
    }

    pub(super) fn tell_disconnected(socket: &Socket) {
        let codec = &socket.namespace().options.codec;
        socket.push_owed(codec.plain(Kind::Disconnect, socket.nsp(), None));
    }

    /// The server disconnects all sockets of the connection.
    pub(super) fn disconnect_all(&mut self, cx: &mut Context<'_>) {
        let sockets: Vec<_> = self.router.sockets().cloned().collect();
        for socket in sockets.iter().filter(|socket| socket.connected()) {
            socket.end(DisconnectReason::ServerNamespaceDisconnect);
            // What goes wrong now concerns nobody: the connection is closed next.
            let _ = self.left_by_server(socket, cx);
        }
    }

    /// The connection is over, for all its sockets. What they sent before is still handled, unless it is the server that
    /// ends it.
    pub(super) fn close(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        for socket in self.router.close() {
            socket.end(reason);
            self.finish(&socket);
        }
        // What goes wrong now concerns nobody: the client is gone.
        while self.go_on(cx).is_err() {}
    }

    /// A socket has ended, and its entry says so: this is reached once for each.
    pub(super) fn finish(&mut self, socket: &Socket) {
        let Some(ended) = socket.ended() else { return };
        if ended.reason.is_by_server() || !ended.was_connected {
            self.router.drop_events(socket);
            self.lanes.forget(socket);
        }
        if ended.was_connected {
            self.ended.push(socket.clone());
        } else {
            self.forget(socket);
        }
    }

    /// Nothing of the socket is left to be handled.
    pub(super) fn forget(&mut self, socket: &Socket) {
        self.router.gone(socket);
        self.lanes.forget(socket);
        socket.release();
    }

    /// A socket that has ended, all of whose events have started.
    pub(super) fn next_ended(&mut self) -> Option<Socket> {
        let (router, lanes) = (&self.router, &self.lanes);
        let at = self.ended.iter().position(|socket| {
            !(socket.is_extracting()
                || router.keeps_events_of(socket)
                || lanes.keep_events_of(socket))
        })?;
        Some(self.ended.remove(at))
    }

    pub(super) fn run_disconnect(&mut self, socket: &Socket, cx: &mut Context<'_>) {
        let Some(Ended { reason, .. }) = socket.ended() else {
            return;
        };
        tracing::debug!(socket = %socket.id(), nsp = socket.nsp(), %reason, "disconnected");
        if let Some(handler) = &socket.namespace().handlers.disconnect {
            let work = Work::disconnect(socket, handler, reason);
            // A disconnect handler breaks no rule of the protocol.
            let _ = self.run(socket, work, cx);
        }
    }
}

/// Its task has been dropped in the middle: nobody must think that its sockets are still there.
impl Drop for Dispatch {
    fn drop(&mut self) {
        self.attach();
        for socket in self.router.close() {
            socket.end(DisconnectReason::TransportClose);
            socket.release();
        }
        // These had ended, and waited for their last handlers.
        for socket in &self.ended {
            socket.release();
        }
        self.client.close_commands();
        self.client.outbox.close();
    }
}
