//! One of several servers that share a Redis, for the tests with Node.js servers.
//!
//! ```console
//! $ REDIS_URL=redis://127.0.0.1/ PORT=3000 cargo run -p axum-socketio-redis --example redis-server
//! ```

#[path = "../../../tests/clients/cluster_server.rs"]
mod cluster_server;

use axum_socketio_redis::{Redis, Streams, SubscriptionMode};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = Redis::connect(&std::env::var("REDIS_URL")?).await?;
    let redis = match std::env::var("MODE").as_deref() {
        Ok("dynamic") => redis.sharded(SubscriptionMode::Dynamic),
        Ok("static") => redis.sharded(SubscriptionMode::Static),
        Ok("streams") => redis.streams(Streams::new()),
        Ok("pattern") => redis.pattern_for(|_| true),
        Ok("specific") => redis.specific_answers(true),
        _ => redis,
    };
    cluster_server::run(redis).await
}
