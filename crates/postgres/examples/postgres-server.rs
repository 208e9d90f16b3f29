//! One of several servers that share a PostgreSQL, for the tests with Node.js servers.
//!
//! ```console
//! $ POSTGRES_URL=postgres://user@127.0.0.1/app PORT=3000 cargo run -p axum-socketio-postgres --example postgres-server
//! ```

#[path = "../../../tests/clients/cluster_server.rs"]
mod cluster_server;

use axum_socketio_postgres::Postgres;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let postgres = Postgres::connect(&std::env::var("POSTGRES_URL")?).await?;
    postgres.create_table().await?;
    cluster_server::run(postgres).await
}
