//! socketioxide behind `axum::serve`.

use axum::Router;
use axum_socketio_benches::{
    contract::{PING_INTERVAL, Report},
    serve::Options,
};
use bytes::Bytes;
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};

fn main() -> std::io::Result<()> {
    let options = Options::from_args()?;
    options.run(options.clone().serve(app()))
}

fn app() -> Router {
    let (layer, io) = SocketIo::builder()
        .ping_interval(PING_INTERVAL)
        .build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("echo", echo);
        socket.on("binary", binary);
        socket.on("json", json);
        socket.on("ack", ack);
        socket.on("join", join);
        socket.on("leave", leave);
        socket.on("cast", cast);
    });
    Router::new().layer(layer)
}

// A closed socket, the only error here, is ignored: the generator detects it.

async fn echo(socket: SocketRef, Data(text): Data<String>) {
    let _ = socket.emit("echo", &text);
}

async fn binary(socket: SocketRef, Data(data): Data<Bytes>) {
    let _ = socket.emit("binary", &data);
}

async fn json(socket: SocketRef, Data(report): Data<Report>) {
    let _ = socket.emit("json", &report);
}

async fn ack(Data(text): Data<String>, ack: AckSender) {
    let _ = ack.send(&text);
}

async fn join(socket: SocketRef, Data(rooms): Data<Vec<String>>, ack: AckSender) {
    socket.join(rooms);
    let _ = ack.send(&());
}

async fn leave(socket: SocketRef, Data(rooms): Data<Vec<String>>, ack: AckSender) {
    for room in rooms {
        socket.leave(room);
    }
    let _ = ack.send(&());
}

async fn cast(io: SocketIo, Data((room, burst, text)): Data<(String, u32, String)>) {
    for _ in 0..burst {
        let _ = io.to(room.clone()).emit("cast", &text).await;
    }
}
