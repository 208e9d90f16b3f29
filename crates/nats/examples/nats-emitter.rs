//! A worker: a program without a server that emits events to the clients of a cluster.
//!
//! ```console
//! $ NATS_URL=nats://127.0.0.1 cargo run -p axum-socketio-nats --example nats-emitter
//! ```

use axum_socketio_nats::Emitter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let emitter = Emitter::connect(&std::env::var("NATS_URL")?).await?;
    emitter.emit("news", "all").await?;
    emitter.to("x").emit("news", ("x", 1)).await?;
    emitter.of("/admin").except("interns").disconnect().await?;
    Ok(())
}
