//! The ways in which sockets leave: by their clients, by the server, with their connection, or in a shutdown.

use std::task::Context;

use super::dispatch::Dispatch;
use super::handlers::Work;
use crate::socket::{Ended, Socket};
use proto::DisconnectReason;
use proto::connection::Violation;
use proto::socket_io::Kind;

impl Dispatch {
    /// Starts no more events, and refuses clients that have not been admitted yet. Running handlers continue.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        self.client.begin_drain();
        let dropped = self.router.drain() + self.serial_queues.drop_all_events();
        if dropped > 0 {
            tracing::debug!(dropped, "events that waited are not handled: shutting down");
        }
        let sockets: Vec<_> = self.router.sockets().cloned().collect();
        for socket in sockets.iter().filter(|socket| !socket.connected()) {
            // The DISCONNECT of a socket that has ended is on its way to this task.
            if socket.end(DisconnectReason::ServerShuttingDown) {
                self.finish(socket);
            }
        }
        // Violations have no effect any more, since the connection is closed next.
        while self.start_waiting(cx).is_err() {}
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Returns true if the connection is draining and no handler that may answer its client is running.
    pub(super) fn is_drained(&self) -> bool {
        self.draining
            && !self.handlers.any_may_answer()
            && !self.router.sockets().any(Socket::has_open_acks)
    }

    /// Drops all running handlers. Returns the number of them.
    pub(super) fn cut_off(&mut self) -> usize {
        self.handlers.cut_off()
    }

    /// Handles a disconnect by the server, unless the client has left before.
    pub(super) fn left_by_server(
        &mut self,
        socket: &Socket,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        self.end_by_server(socket);
        self.start_waiting(cx)
    }

    /// Notifies the client of a socket that the server has ended, unless the client has left before.
    pub(super) fn end_by_server(&mut self, socket: &Socket) {
        if self.router.mark_left(socket) {
            Self::send_disconnect(socket);
            self.finish(socket);
        }
    }

    pub(super) fn send_disconnect(socket: &Socket) {
        let codec = &socket.namespace().options.codec;
        socket.push_required(codec.plain(Kind::Disconnect, socket.nsp(), None));
    }

    /// Disconnects all sockets of the connection in the name of the server.
    pub(super) fn disconnect_all(&mut self, cx: &mut Context<'_>) {
        let sockets: Vec<_> = self.router.sockets().cloned().collect();
        for socket in sockets.iter().filter(|socket| socket.connected()) {
            socket.end(DisconnectReason::ServerNamespaceDisconnect);
            // Violations have no effect any more, since the connection is closed next.
            let _ = self.left_by_server(socket, cx);
        }
    }

    /// Ends all sockets of the connection. The events that they sent before are still handled, unless the server ends
    /// the connection.
    pub(super) fn close(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        for socket in self.router.close() {
            socket.end(reason);
            self.finish(&socket);
        }
        // Violations have no effect any more, since the client is gone.
        while self.start_waiting(cx).is_err() {}
    }

    /// Handles the end of a socket. This is called once for each socket, when its entry in the router says that it has
    /// ended.
    pub(super) fn finish(&mut self, socket: &Socket) {
        let Some(ended) = socket.ended() else { return };
        if ended.reason.is_by_server() || !ended.was_connected {
            self.router.drop_events(socket);
            self.serial_queues.drop_events_of(socket);
        }
        if ended.was_connected {
            self.ended.push(socket.clone());
        } else {
            self.forget(socket);
        }
    }

    /// Removes a socket of which nothing is left to be handled.
    pub(super) fn forget(&mut self, socket: &Socket) {
        self.router.remove(socket);
        self.serial_queues.drop_events_of(socket);
        socket.release();
    }

    /// Returns a socket that has ended and whose events have all started.
    pub(super) fn next_ended(&mut self) -> Option<Socket> {
        let (router, queues) = (&self.router, &self.serial_queues);
        let at = self.ended.iter().position(|socket| {
            !(socket.is_extracting()
                || router.keeps_events_of(socket)
                || queues.has_events_of(socket))
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
            // The result of a disconnect handler cannot be a violation of the protocol.
            let _ = self.run(socket, work, cx);
        }
    }

    /// Ends all sockets, and closes the outbox.
    pub(super) fn release_sockets(&mut self) {
        self.attach();
        for socket in self.router.close() {
            socket.end(DisconnectReason::TransportClose);
            socket.release();
        }
        // These sockets have ended, and were waiting for their last handlers.
        for socket in self.ended.drain(..) {
            socket.release();
        }
        self.client.close_commands();
        self.client.outbox.close();
    }
}

/// The task may be dropped with its runtime. Its sockets must not remain in their namespaces.
impl Drop for Dispatch {
    fn drop(&mut self) {
        self.release_sockets();
    }
}
