//! axum-socketio in a cluster: `cluster-ours ENGINE`, with the address of the engine in `ENGINE_URL`.

use std::error::Error;
use std::io;

use axum::Router;
use axum_socketio::cluster::Wire;
use axum_socketio::{Data, Namespace, Reply, Socket, SocketIo, SocketIoBuilder, Timeouts};
use axum_socketio_benches::contract::PING_INTERVAL;
use axum_socketio_benches::serve::Options;
use axum_socketio_nats::Nats;
use axum_socketio_postgres::Postgres;
use axum_socketio_redis::{Redis, Streams, SubscriptionMode};

fn main() -> io::Result<()> {
    let options = Options::from_args()?;
    options.run(serve(options.clone()))
}

async fn serve(options: Options) -> io::Result<()> {
    let io = connected(options.mode.as_deref().unwrap_or("none"))
        .await
        .map_err(|error| io::Error::other(error.to_string()))?
        .timeouts(Timeouts::new().ping_interval(PING_INTERVAL))
        .namespace(
            "/",
            Namespace::new()
                .on("join", join)
                .on("cast", cast)
                .on("local", local),
        )
        .build();
    options.serve(Router::new().layer(io.layer())).await
}

/// Returns the builder of a server that is connected to an engine.
async fn connected(engine: &str) -> Result<SocketIoBuilder, Box<dyn Error>> {
    let url = std::env::var("ENGINE_URL").unwrap_or_default();
    Ok(match engine {
        "none" => SocketIo::builder(),
        "nats" => with(Nats::connect(&url).await?),
        "postgres" => {
            let postgres = Postgres::connect(&url).await?;
            postgres.create_table().await?;
            with(postgres)
        }
        _ => {
            let redis = Redis::connect(&url).await?;
            match engine {
                "redis" => with(redis),
                "redis-pattern" => with(redis.pattern_for(|_| true)),
                "redis-sharded" => with(redis.sharded(SubscriptionMode::Dynamic)),
                "redis-streams" => with(redis.streams(Streams::new())),
                other => return Err(format!("unknown engine {other}").into()),
            }
        }
    })
}

fn with(engine: impl Wire) -> SocketIoBuilder {
    SocketIo::builder().cluster(engine)
}

async fn join(socket: Socket, Data(rooms): Data<Vec<String>>) {
    // A room that cannot be joined is noticed by the generator, which then misses deliveries.
    let _ = socket.join(rooms).await;
}

async fn cast(io: SocketIo, Data((room, burst, text)): Data<(String, u32, String)>) -> Reply<u32> {
    for _ in 0..burst {
        io.to(&room).emit("cast", &text);
    }
    Reply(burst)
}

async fn local(io: SocketIo, Data((room, burst, text)): Data<(String, u32, String)>) -> Reply<u32> {
    for _ in 0..burst {
        io.local().to(&room).emit("cast", &text);
    }
    Reply(burst)
}
