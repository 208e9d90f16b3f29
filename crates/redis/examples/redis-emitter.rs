//! A worker: a program without a server that emits events to the clients of a cluster.
//!
//! ```console
//! $ REDIS_URL=redis://127.0.0.1/ cargo run -p axum-socketio-redis --example redis-emitter
//! ```

use axum_socketio_redis::{Redis, SubscriptionMode};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = Redis::connect(&std::env::var("REDIS_URL")?).await?;
    // The mode has to be that of the servers.
    let emitter = match std::env::var("MODE").as_deref() {
        Ok("dynamic") => redis.sharded(SubscriptionMode::Dynamic).emitter(),
        Ok("static") => redis.sharded(SubscriptionMode::Static).emitter(),
        _ => redis.emitter(),
    };
    emitter.emit("news", "all").await?;
    emitter.volatile().emit("news", ("volatile", 1)).await?;
    let binary = bytes::Bytes::from_static(&[1, 2, 255]);
    emitter.uncompressed().emit("news", binary).await?;

    // An event for a room may follow the join at once.
    let room = emitter.to("emitted");
    emitter.join("emitted").await?;
    room.emit("news", "room").await?;
    room.except("y").emit("news", "not y").await?;
    room.server_side_emit("noticed", "an emitter").await?;
    room.leave("emitted").await?;
    room.emit("news", "nobody").await?;
    emitter.emit("news", "end").await?;
    Ok(())
}
