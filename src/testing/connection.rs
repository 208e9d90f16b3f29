//! A connection that runs in a task beside the test.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::error::Disconnected;
use super::state::ClientState;
use crate::sync::Lock;
use proto::engine_io::Packet;
use proto::socket_io::{Codec, Encoded};

/// The state shared by a connection's task and its clients.
#[derive(Debug)]
pub(super) struct SharedState {
    pub(super) codec: Codec,
    state: Lock<ClientState>,
    /// Notifies waiters of each change of the state.
    changed: watch::Sender<()>,
    outgoing: mpsc::UnboundedSender<ToSend>,
}

/// A Socket.IO packet that is queued for the server.
#[derive(Debug)]
pub(super) struct ToSend {
    /// The number of the packet, counted from 1.
    pub(super) number: u64,
    /// The Engine.IO packets that it consists of.
    pub(super) packets: Vec<Packet>,
}

impl SharedState {
    pub(super) fn new(codec: Codec) -> (Arc<Self>, mpsc::UnboundedReceiver<ToSend>) {
        let (outgoing, to_send) = mpsc::unbounded_channel();
        let shared = Self {
            state: Lock::new(ClientState::new(codec.decoding())),
            codec,
            changed: watch::Sender::new(()),
            outgoing,
        };
        (Arc::new(shared), to_send)
    }

    /// Accesses the state without notifying waiters.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut ClientState) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Changes the state and notifies waiters.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut ClientState) -> T) -> T {
        let result = self.with(change);
        self.changed.send_replace(());
        result
    }

    /// Waits until `find` returns a value for the state.
    pub(super) async fn until<T>(&self, mut find: impl FnMut(&mut ClientState) -> Option<T>) -> T {
        // Subscribe before the first check so that no change is missed. The sender lives as long as `self`.
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = self.with(&mut find) {
                return found;
            }
            let _ = changed.changed().await;
        }
    }

    /// Sends a packet and returns its number.
    pub(super) fn send(&self, packets: Vec<Packet>) -> u64 {
        self.with(|state| {
            state.sent += 1;
            // The receiver is gone once the connection is closed.
            let _ = self.outgoing.send(ToSend {
                number: state.sent,
                packets,
            });
            state.sent
        })
    }

    pub(super) fn send_packet(&self, packet: Encoded) -> u64 {
        self.send(packets(packet))
    }

    /// Waits until the server has processed a packet, or the connection is closed.
    pub(super) async fn taken(&self, number: u64) {
        self.until(|state| (state.taken >= number || state.ended.is_some()).then_some(()))
            .await;
    }

    /// Waits while the client has stopped reading.
    pub(super) async fn reads(&self) {
        self.until(|state| state.reads.then_some(())).await;
    }

    /// Records that the server has processed all packets up to this one.
    pub(super) fn has_taken(&self, number: u64) {
        self.update(|state| state.taken = state.taken.max(number));
    }

    /// Processes a packet from the server and sends the reply to it. Returns the reason if this closes the connection.
    pub(super) fn receive(&self, packet: Packet) -> Option<Disconnected> {
        let (answer, ended) = self.update(|state| (state.receive(packet), state.ended));
        if let Some(answer) = answer {
            self.send(vec![answer]);
        }
        ended
    }
}

/// Converts an encoded packet to Engine.IO packets.
fn packets(packet: Encoded) -> Vec<Packet> {
    let packet = match packet {
        Encoded::Packet(packet) => packet,
        Encoded::Messages(messages) => return messages.into_iter().map(Packet::Message).collect(),
    };
    let text = Packet::decode_text(packet.text().into());
    let attachments = packet.attachments().iter().cloned();
    let attachments = attachments.map(Packet::decode_binary);
    text.into_iter().chain(attachments).collect()
}

/// A connection that lives as long as a client holds it.
#[derive(Debug)]
pub(super) struct ClientConnection {
    pub(super) shared: Arc<SharedState>,
    task: Lock<Option<JoinHandle<()>>>,
}

impl ClientConnection {
    /// Runs a transport, which returns the reason of its end.
    pub(super) fn run(
        shared: Arc<SharedState>,
        transport: impl Future<Output = Disconnected> + Send + 'static,
    ) -> Self {
        let told = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let reason = transport.await;
            told.update(|state| state.end(reason));
        });
        Self {
            shared,
            task: Lock::new(Some(task)),
        }
    }

    /// Closes the connection without notifying the server.
    pub(super) async fn cut(&self) {
        self.shared
            .update(|state| state.end(Disconnected::TransportClose));
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.abort();
        }
    }
}
