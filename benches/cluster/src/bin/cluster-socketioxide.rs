//! socketioxide in a cluster: `cluster-socketioxide ENGINE`, with the address of the engine in `ENGINE_URL`.

use std::error::Error;
use std::io;

use axum::Router;
use axum_socketio_benches::contract::PING_INTERVAL;
use axum_socketio_benches::serve::Options;
use socketioxide::SocketIo;
use socketioxide::adapter::Adapter;
use socketioxide::extract::{AckSender, Data, SocketRef};
use socketioxide_postgres::drivers::tokio_postgres::tokio_postgres_client::{Config, NoTls};
use socketioxide_postgres::{PostgresAdapterCtr, TokioPostgresAdapter};
use socketioxide_redis::drivers::redis::redis_client::Client;
use socketioxide_redis::{RedisAdapter, RedisAdapterCtr};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> io::Result<()> {
    let options = Options::from_args()?;
    let server = serve(options.clone());
    options.run(async { server.await.map_err(io::Error::other) })
}

async fn serve(options: Options) -> Result<(), Failure> {
    let url = std::env::var("ENGINE_URL").unwrap_or_default();
    let builder = SocketIo::builder().ping_interval(PING_INTERVAL);
    let app = match options.mode.as_deref() {
        Some("redis") => {
            // Its adapter needs the third version of the protocol.
            let client = Client::open(format!("{url}?protocol=resp3"))?;
            let adapter = RedisAdapterCtr::new_with_redis(&client).await?;
            let builder = builder.with_adapter::<RedisAdapter<_>>(adapter);
            let (layer, io) = builder.build_layer();
            io.ns("/", speak).await?;
            Router::new().layer(layer)
        }
        Some("postgres") => {
            let config: Config = url.parse()?;
            let adapter = PostgresAdapterCtr::new_with_tokio_postgres(config, NoTls).await?;
            let builder = builder.with_adapter::<TokioPostgresAdapter<_>>(adapter);
            let (layer, io) = builder.build_layer();
            io.ns("/", speak).await?;
            Router::new().layer(layer)
        }
        other => return Err(format!("unknown engine {other:?}").into()),
    };
    Ok(options.serve(app).await?)
}

async fn speak<A: Adapter>(socket: SocketRef<A>) {
    socket.on("join", join);
    socket.on("cast", cast);
}

// A closed socket, the only error of an acknowledgement, is ignored: the generator detects it.

async fn join<A: Adapter>(socket: SocketRef<A>, Data(rooms): Data<Vec<String>>, ack: AckSender<A>) {
    socket.join(rooms);
    let _ = ack.send(&());
}

async fn cast<A: Adapter>(
    io: SocketIo<A>,
    Data((room, burst, text)): Data<(String, u32, String)>,
    ack: AckSender<A>,
) {
    for _ in 0..burst {
        let _ = io.to(room.clone()).emit("cast", &text).await;
    }
    let _ = ack.send(&burst);
}
