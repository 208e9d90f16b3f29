//! A namespace with a state in a server with another.
//~ 1.95: mismatched types
//~ 1.95: expected `Namespace<Db>`, found `Namespace<Cache>`
use axum::extract::State;
use axum_socketio::{Namespace, SocketIo};

#[derive(Clone)]
struct Db;
#[derive(Clone)]
struct Cache;

async fn get(_: State<Cache>) {}
async fn set(_: State<Db>) {}

fn main() {
    let _ = SocketIo::builder()
        .namespace("/db", Namespace::<Db>::new().on("set", set))
        .namespace("/cache", Namespace::<Cache>::new().on("get", get))
        .with_state(Db)
        .build();
}
