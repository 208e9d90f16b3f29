//! One connection, as its sockets see it.

use std::sync::Arc;
use std::time::Instant;

use super::{Handshake, Logs, Pace, ServerLogs, Socket};
use crate::engine::{DisconnectReason, Outbox, Transport};
use crate::protocol::Sid;
use crate::protocol::engine_io::Revision;
use crate::protocol::websocket::CloseFrame;
use crate::sync::Lock;

/// What the sockets of a connection want of the task that runs it.
#[derive(Debug)]
pub(crate) enum Command {
    /// The server has disconnected this socket: tell its client, run its handler.
    Left(Socket),
    /// The connection is lost, though nothing on it has said so.
    Lost(DisconnectReason),
    /// The server is shutting down: start no more events, and close the connection when its handlers have finished, or at
    /// this time at the latest.
    Drain(Instant),
    /// Close the whole connection once all that is queued has been written. A WebSocket's close frame is `farewell`.
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
    pub(crate) handshake: Handshake,
    /// Whether one more warning may be logged.
    pub(crate) logs: Logs,
    transport: Lock<Transport>,
    commands: Lock<Commands>,
    /// What it has sent past each layer that limits that.
    paces: Lock<Vec<(Arc<()>, Paces)>>,
}

/// In two measures, such as events and bytes.
type Paces = [Pace; 2];

#[derive(Debug, Default)]
struct Commands {
    waiting: Vec<Command>,
    /// The task takes none any more.
    closed: bool,
}

impl Client {
    pub(crate) fn new(
        sid: Sid,
        revision: Revision,
        outbox: Arc<Outbox>,
        handshake: Handshake,
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
            paces: Lock::default(),
        }
    }

    /// Notes what the client sends past a layer. Returns false, and notes nothing, if `next` says that it is too fast.
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
                // Layers of sockets that are gone: a client might come and go for ever.
                all.retain(|(of, _)| Arc::strong_count(of) > 1);
                all.push((Arc::clone(layer), paces));
            }
        }
        true
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

    /// Hands a command to the task; it is dropped when the connection is over.
    pub(crate) fn command(&self, command: Command) {
        let mut commands = self.commands.lock();
        if commands.closed {
            return;
        }
        commands.waiting.push(command);
        drop(commands);
        self.outbox.nudge();
    }

    pub(crate) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock().waiting)
    }

    /// Takes no commands any more: they would keep sockets alive that keep this alive.
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
    fn what_was_sent_past_layers_that_are_gone_is_forgotten() {
        let client = Client::new(
            Sid::from_random([1; 15]),
            Revision::Four,
            Arc::new(Outbox::new(10, 1000)),
            Handshake::new(Request::new(()).into_parts().0),
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
