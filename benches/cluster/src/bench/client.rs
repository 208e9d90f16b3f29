//! The clients: WebSockets that join rooms, ask for broadcasts, and count the events that they receive.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::SinkExt;
use futures_util::stream::{SplitSink, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// The limit for anything that a client waits for.
const LIMIT: Duration = Duration::from_secs(20);

/// The number of events that all clients have received.
#[derive(Default)]
pub struct Received {
    count: AtomicU64,
    /// The number that is waited for.
    wanted: AtomicU64,
    reached: Notify,
}

impl Received {
    fn add(&self) {
        let count = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        if count == self.wanted.load(Ordering::Acquire) {
            self.reached.notify_one();
        }
    }

    /// Expects some events more than have been received.
    pub fn expect(&self, more: u64) {
        let wanted = self.count.load(Ordering::Acquire) + more;
        self.wanted.store(wanted, Ordering::Release);
    }

    /// Waits for the expected events.
    pub async fn wait(&self) -> io::Result<()> {
        let reached = async {
            while self.count.load(Ordering::Acquire) < self.wanted.load(Ordering::Acquire) {
                self.reached.notified().await;
            }
        };
        timeout(LIMIT, reached).await.map_err(|_| {
            let (count, wanted) = (&self.count, &self.wanted);
            let missing = wanted.load(Ordering::Acquire) - count.load(Ordering::Acquire);
            io::Error::other(format!("{missing} events did not arrive"))
        })
    }
}

/// A client that is connected to the namespace `/`.
pub struct Client {
    sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    acks: mpsc::UnboundedReceiver<()>,
    reader: tokio::task::JoinHandle<()>,
}

impl Client {
    pub async fn connect(port: u16, received: Arc<Received>) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket");
        let (socket, _) = client_async(url, stream).await.map_err(failed)?;
        let (mut sink, mut stream) = socket.split();
        sink.send(Message::text("40")).await.map_err(failed)?;
        let connected = async {
            while let Some(message) = stream.next().await {
                if message
                    .map_err(failed)?
                    .to_text()
                    .is_ok_and(|text| text.starts_with("40"))
                {
                    return Ok(());
                }
            }
            Err(io::Error::other("the client was refused"))
        };
        timeout(LIMIT, connected).await??;
        let (acked, acks) = mpsc::unbounded_channel();
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                match message.to_text().map(str::as_bytes) {
                    Ok([b'4', b'2', ..]) => received.add(),
                    // The receiver is gone when the client is dropped, with this task.
                    Ok([b'4', b'3', ..]) => drop(acked.send(())),
                    _ => {}
                }
            }
        });
        Ok(Self { sink, acks, reader })
    }

    /// Emits an event, and waits for its acknowledgement.
    pub async fn ask(&mut self, event: &str, args: impl serde::Serialize) -> io::Result<()> {
        let arguments = serde_json::to_string(&(event, args))?;
        self.send(&arguments).await
    }

    /// Asks for a burst of events to a room.
    pub async fn cast(
        &mut self,
        event: &str,
        room: &str,
        burst: u64,
        text: &str,
    ) -> io::Result<()> {
        let arguments = serde_json::to_string(&(event, room, burst, text))?;
        self.send(&arguments).await
    }

    async fn send(&mut self, arguments: &str) -> io::Result<()> {
        let packet = Message::text(format!("421{arguments}"));
        self.sink.send(packet).await.map_err(failed)?;
        timeout(LIMIT, self.acks.recv())
            .await?
            .ok_or_else(|| io::Error::other("the connection was closed"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn failed(error: tungstenite::Error) -> io::Error {
    io::Error::other(error)
}
