//! A program without a server that emits events in a transaction.
//!
//! ```console
//! $ POSTGRES_URL=postgres://user@127.0.0.1/app cargo run -p axum-socketio-postgres --example postgres-emitter
//! ```

use axum_socketio_postgres::{Emitter, tokio_postgres};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("POSTGRES_URL")?;
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let emitter = Emitter::detached();

    // Nothing of this is sent.
    let transaction = client.transaction().await?;
    emitter.emit_in(&transaction, "news", "rolled back").await?;
    transaction.rollback().await?;

    // All of this is sent at once, in this order.
    let transaction = client.transaction().await?;
    emitter.emit_in(&transaction, "news", "twice").await?;
    emitter.emit_in(&transaction, "news", "twice").await?;
    let large = "x".repeat(9_000);
    emitter.emit_in(&transaction, "news", large).await?;
    let binary = bytes::Bytes::from_static(&[1, 2, 255]);
    emitter.emit_in(&transaction, "news", binary).await?;
    transaction.commit().await?;

    // The same without a transaction, and what else an emitter does.
    let room = Emitter::connect(&url).await?.to("emitted");
    emitter.within(&client).join("emitted").await?;
    room.emit("news", ("to", 1)).await?;
    room.server_side_emit("noticed", ()).await?;
    room.leave("emitted").await?;
    Ok(())
}
