//! One connection, as seen by its sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::Socket;
use super::pace::Pace;
use crate::http::OpeningRequest;
use crate::logs::{Logs, ServerLogs};
use crate::outbox::Outbox;
use crate::sync::Lock;
use proto::engine_io::{Revision, Transport};
use proto::websocket::CloseFrame;
use proto::{DisconnectReason, Sid};

/// A command of a connection's sockets, or of the server, to the task that runs the connection.
#[derive(Debug)]
pub(crate) enum Command {
    /// The server has disconnected this socket: its client is notified, and its disconnect handler run.
    Left(Socket),
    /// The connection is considered lost, although the transport has reported no error.
    Lost(DisconnectReason),
    /// The server is shutting down: no more events start, and the connection is closed when its handlers have finished,
    /// at the latest at this time.
    Drain(Instant),
    /// The whole connection is closed once all that is queued has been written. A WebSocket's close frame is
    /// `farewell`.
    Close {
        reason: DisconnectReason,
        farewell: Option<CloseFrame>,
    },
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) sid: Sid,
    pub(crate) revision: Revision,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) handshake: OpeningRequest,
    /// The limit of the warnings that this connection may log.
    pub(crate) logs: Logs,
    transport: Lock<Transport>,
    commands: Lock<Commands>,
    /// The size of the auth of all sockets that exist, in bytes. A handler may hold a socket that has left.
    auth_bytes: AtomicUsize,
    /// True if the server is shutting down, and the connection ends when its handlers have.
    draining: AtomicBool,
    /// True if the time at which a socket ends has changed.
    expiry_noted: AtomicBool,
    /// The pace of the client at each rate-limiting layer.
    paces: Lock<Vec<(Arc<()>, Paces)>>,
}

/// The pace in two measures, such as events and bytes.
type Paces = [Pace; 2];

#[derive(Debug, Default)]
struct Commands {
    waiting: Vec<Command>,
    /// True if the task accepts no more commands.
    closed: bool,
}

impl Client {
    pub(crate) fn new(
        sid: Sid,
        revision: Revision,
        outbox: Arc<Outbox>,
        handshake: OpeningRequest,
        transport: Transport,
        logs: Arc<ServerLogs>,
    ) -> Self {
        Self {
            logs: Logs::new(logs),
            sid,
            revision,
            outbox,
            handshake,
            transport: Lock::new(transport),
            commands: Lock::default(),
            auth_bytes: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            expiry_noted: AtomicBool::new(false),
            paces: Lock::default(),
        }
    }

    /// Records the pace of the client at a layer. Returns false, and records nothing, if `next` finds it too fast.
    pub(crate) fn pace(&self, layer: &Arc<()>, next: impl FnOnce(Paces) -> Option<Paces>) -> bool {
        let mut all = self.paces.lock();
        let at = all.iter().position(|(of, _)| Arc::ptr_eq(of, layer));
        let before = at.and_then(|at| all.get(at)).map(|(_, paces)| *paces);
        let Some(paces) = next(before.unwrap_or_default()) else {
            return false;
        };
        match at.and_then(|at| all.get_mut(at)) {
            Some(known) => known.1 = paces,
            None => {
                // Drops the entries of layers whose sockets have left, since a client may connect and leave any number
                // of times.
                all.retain(|(of, _)| Arc::strong_count(of) > 1);
                all.push((Arc::clone(layer), paces));
            }
        }
        true
    }

    /// Returns the size of the auth of all sockets that exist, in bytes.
    pub(crate) fn auth_bytes(&self) -> usize {
        self.auth_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add_auth(&self, bytes: usize) {
        self.auth_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn remove_auth(&self, bytes: usize) {
        self.auth_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Closes the connection with a plain close frame.
    pub(crate) fn close(&self, reason: DisconnectReason) {
        let farewell = None;
        self.command(Command::Close { reason, farewell });
    }

    /// Closes the connection when its handlers have finished, or at `limit`.
    pub(crate) fn drain(&self, limit: Instant) {
        self.command(Command::Drain(limit));
    }

    /// Records that the connection drains. From then on its task is woken for each acknowledgement that a handler has
    /// taken over and lets go.
    ///
    /// The order with `Socket::release_ack` is sequentially consistent: either the task sees that nothing is held any
    /// more, or the other thread sees that the connection drains.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Records that the time at which a socket ends has changed, and wakes the task.
    pub(super) fn note_expiry(&self) {
        self.expiry_noted.store(true, Ordering::Release);
        self.outbox.notify_writer();
    }

    /// Returns true if such a time has changed since the last call.
    pub(crate) fn take_expiry_note(&self) -> bool {
        self.expiry_noted.load(Ordering::Relaxed) && self.expiry_noted.swap(false, Ordering::AcqRel)
    }

    /// Queues a command for the task. Returns false, and drops the command, if the connection has ended.
    pub(crate) fn command(&self, command: Command) -> bool {
        let mut commands = self.commands.lock();
        if commands.closed {
            return false;
        }
        commands.waiting.push(command);
        drop(commands);
        self.outbox.notify_writer();
        true
    }

    pub(crate) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock().waiting)
    }

    /// Accepts no more commands. Sockets in them would keep this client alive, which keeps the sockets alive.
    pub(crate) fn close_commands(&self) {
        let mut commands = self.commands.lock();
        commands.closed = true;
        let waiting = std::mem::take(&mut commands.waiting);
        drop(commands);
        drop(waiting);
    }

    pub(crate) fn transport(&self) -> Transport {
        *self.transport.lock()
    }

    pub(crate) fn set_transport(&self, transport: Transport) {
        *self.transport.lock() = transport;
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::metrics::Counters;

    #[test]
    fn paces_of_dropped_layers_are_removed() {
        let client = Client::new(
            Sid::from_random([1; 15]),
            Revision::Four,
            Arc::new(Outbox::new(10, 1000)),
            OpeningRequest::new(Request::new(()).into_parts().0),
            Transport::WebSocket,
            Arc::new(ServerLogs::new(Arc::new(Counters::new(1)), 10, 10)),
        );
        let kept = Arc::new(());
        for _ in 0..100 {
            assert!(client.pace(&kept, Some));
            assert!(client.pace(&Arc::new(()), Some));
        }
        assert_eq!(client.paces.lock().len(), 2);
    }
}
