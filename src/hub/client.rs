//! One connection, as its sockets see it.

use std::sync::Arc;

use super::{Handshake, Socket};
use crate::engine::{DisconnectReason, Outbox, Transport};
use crate::protocol::Sid;
use crate::sync::Lock;

/// What the sockets of a connection want of the task that runs it.
#[derive(Debug)]
pub(crate) enum Command {
    /// The server has disconnected this socket: tell its client, run its handler.
    Left(Socket),
    /// Close the whole connection once all that is queued has been written.
    Close(DisconnectReason),
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) sid: Sid,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) handshake: Handshake,
    transport: Lock<Transport>,
    commands: Lock<Commands>,
}

#[derive(Debug, Default)]
struct Commands {
    waiting: Vec<Command>,
    /// The task takes none any more.
    closed: bool,
}

impl Client {
    pub(crate) fn new(
        sid: Sid,
        outbox: Arc<Outbox>,
        handshake: Handshake,
        transport: Transport,
    ) -> Self {
        Self {
            sid,
            outbox,
            handshake,
            transport: Lock::new(transport),
            commands: Lock::default(),
        }
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
