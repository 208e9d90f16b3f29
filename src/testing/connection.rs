//! A connection that runs beside the test.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::state::{Disconnected, State};
use crate::protocol::engine_io::Packet;
use crate::protocol::socket_io::{Codec, Encoded};
use crate::sync::Lock;

/// What its task and its clients share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) codec: Codec,
    state: Lock<State>,
    /// Told whenever the state has changed.
    changed: watch::Sender<()>,
    outgoing: mpsc::UnboundedSender<Outgoing>,
}

/// A packet on its way to the server.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Which one it is, counted from 1.
    pub(super) number: u64,
    /// What it is made of.
    pub(super) packets: Vec<Packet>,
}

impl Shared {
    pub(super) fn new(codec: Codec) -> (Arc<Self>, mpsc::UnboundedReceiver<Outgoing>) {
        let (outgoing, to_send) = mpsc::unbounded_channel();
        let shared = Self {
            state: Lock::new(State::new(codec.decoding())),
            codec,
            changed: watch::Sender::new(()),
            outgoing,
        };
        (Arc::new(shared), to_send)
    }

    /// Looks at the state.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Changes the state, and tells whoever waits.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = self.with(change);
        self.changed.send_replace(());
        result
    }

    /// Waits until something is found in the state.
    pub(super) async fn until<T>(&self, mut find: impl FnMut(&mut State) -> Option<T>) -> T {
        // Subscribed before the first look, so that no change is missed; the sender lives as long as this does.
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = self.with(&mut find) {
                return found;
            }
            let _ = changed.changed().await;
        }
    }

    /// Sends a packet, and gives its number.
    pub(super) fn send(&self, packets: Vec<Packet>) -> u64 {
        self.with(|state| {
            state.sent += 1;
            // Nobody receives it when the connection is over.
            let _ = self.outgoing.send(Outgoing {
                number: state.sent,
                packets,
            });
            state.sent
        })
    }

    pub(super) fn send_packet(&self, packet: Encoded) -> u64 {
        self.send(packets(packet))
    }

    /// Waits until the server has taken a packet in, or can do so no more.
    pub(super) async fn taken(&self, number: u64) {
        self.until(|state| (state.taken >= number || state.ended.is_some()).then_some(()))
            .await;
    }

    /// Waits for as long as the client reads nothing.
    pub(super) async fn reads(&self) {
        self.until(|state| state.reads.then_some(())).await;
    }

    /// The server has taken all packets up to this one in.
    pub(super) fn has_taken(&self, number: u64) {
        self.update(|state| state.taken = state.taken.max(number));
    }

    /// Takes in what the server sent, and answers it. Gives the reason if that ends the connection.
    pub(super) fn receive(&self, packet: Packet) -> Option<Disconnected> {
        let (answer, ended) = self.update(|state| (state.receive(packet), state.ended));
        if let Some(answer) = answer {
            self.send(vec![answer]);
        }
        ended
    }
}

/// What is to be sent for a packet.
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

/// A connection, for as long as a client holds it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    task: Lock<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Runs a transport, which gives the reason of its end.
    pub(super) fn run(
        shared: Arc<Shared>,
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

    /// Ends it without a word to the server.
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

impl Drop for Connection {
    fn drop(&mut self) {
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.abort();
        }
    }
}
