//! A server in memory with members in rooms, whose clients read only on demand.

use axum_socketio::{Limits, Socket, SocketIo, SocketIoBuilder, Timeouts};
use axum_socketio_benches::contract::PING_INTERVAL;
use axum_socketio_benches::memory;
use tokio::io::DuplexStream;
use tokio::runtime::{Builder, Runtime};

/// The text that is emitted, which determines the size of the frames.
pub(crate) const TEXT: &str = "what a chat would say in one line of its room";

/// Creates a runtime of one thread, on which the server works only while the benchmark waits.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Creates a builder for servers without pings and without a limit for queued packets.
pub(crate) fn builder() -> SocketIoBuilder {
    SocketIo::builder()
        .timeouts(Timeouts::new().ping_interval(PING_INTERVAL))
        .limits(
            Limits::new()
                .max_outbox_packets(usize::MAX)
                .max_outbox_bytes(usize::MAX),
        )
}

/// A connected client, and its socket on the server.
pub(crate) struct Client {
    pub(crate) pipe: DuplexStream,
    pub(crate) socket: Socket,
}

impl Client {
    pub(crate) async fn connect(io: &SocketIo) -> Self {
        let (pipe, sid) = memory::connect(io).await.unwrap();
        let socket = io.socket(sid).unwrap();
        Self { pipe, socket }
    }

    /// Lets the server write, and reads this number of frames of [`shout`].
    pub(crate) async fn drain(&mut self, frames: usize) {
        let frame = memory::answer(&format!(r#"42["cast","{TEXT}"]"#));
        memory::skip(&mut self.pipe, frames * frame.len())
            .await
            .unwrap();
    }
}

/// Emits the broadcast that all benchmarks of rooms measure.
pub(crate) fn shout(io: &SocketIo, room: &str) {
    io.to(room).emit("cast", TEXT);
}
