//! One connection, as its sockets see it.

use std::sync::Arc;

use super::{Handshake, Socket};
use crate::engine::{DisconnectReason, Outbox, Transport};
use crate::protocol::Sid;
use crate::sync::Lock;

/// What the sockets of a connection want of the task that runs it.
#[derive(Debug)]
pub(crate) enum Command {
    /// The server has disconnected this socket: run its handler.
    Left(Socket, DisconnectReason),
    /// Close the whole connection once all that is queued has been written.
    Close(DisconnectReason),
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) sid: Sid,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) handshake: Handshake,
    transport: Lock<Transport>,
    commands: Lock<Vec<Command>>,
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

    pub(crate) fn command(&self, command: Command) {
        self.commands.lock().push(command);
        self.outbox.wake_writer();
    }

    pub(crate) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *self.commands.lock())
    }

    pub(crate) fn transport(&self) -> Transport {
        *self.transport.lock()
    }

    pub(crate) fn set_transport(&self, transport: Transport) {
        *self.transport.lock() = transport;
    }
}
