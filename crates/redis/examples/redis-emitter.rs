//! A worker: a program without a server that emits events to the clients of a cluster.
//!
//! ```console
//! $ REDIS_URL=redis://127.0.0.1/ cargo run -p axum-socketio-redis --example redis-emitter
//! ```

use axum_socketio_redis::{Redis, Streams, SubscriptionMode};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = Redis::connect(&std::env::var("REDIS_URL")?).await?;
    // The mode has to be that of the servers.
    let emitter = match std::env::var("MODE").as_deref() {
        Ok("dynamic") => redis.sharded(SubscriptionMode::Dynamic).emitter(),
        Ok("static") => redis.sharded(SubscriptionMode::Static).emitter(),
        Ok("streams") => redis.streams(Streams::new()).emitter(),
        _ => redis.emitter(),
    };
    emitter.volatile().emit("news", ("volatile", 1)).await?;
    emitter.emit("news", "all").await?;
    let binary = bytes::Bytes::from_static(&[1, 2, 255]);
    emitter.uncompressed().emit("news", binary).await?;
    emitter.to("x").emit("news", "x").await?;
    let not_x = emitter.to(["x", "y"]).except("x");
    not_x.emit("news", "not x").await?;
    emitter.of("unknown").emit("news", "nobody").await?;

    // Sockets join and leave, and are disconnected.
    emitter.to(["x", "y"]).join("emitted").await?;
    emitter.to("y").leave("emitted").await?;
    emitter.to("gone").disconnect().await?;
    // Servers handle events too.
    emitter.server_side_emit("noticed", "a worker").await?;
    Ok(())
}
