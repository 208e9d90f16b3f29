//! axum-socketio behind `axum::serve`.

use axum::Router;
use axum_socketio::extract::Binary;
use axum_socketio::{Data, Namespace, Reply, Socket, SocketIo, Timeouts};
use axum_socketio_benches::{
    contract::{PING_INTERVAL, Report},
    serve::Options,
};

fn main() -> std::io::Result<()> {
    let options = Options::from_args()?;
    options.run(options.clone().serve(app()))
}

fn app() -> Router {
    let io = SocketIo::builder()
        .timeouts(Timeouts::new().ping_interval(PING_INTERVAL))
        .namespace(
            "/",
            Namespace::new()
                .on("echo", echo)
                .on("binary", binary)
                .on("json", json)
                .on("ack", ack)
                .on("join", join)
                .on("leave", leave)
                .on("cast", cast),
        )
        .build();
    Router::new().layer(io.layer())
}

async fn echo(socket: Socket, Data(text): Data<String>) {
    socket.emit("echo", text);
}

async fn binary(socket: Socket, Data(data): Data<Binary>) {
    socket.emit("binary", data);
}

async fn json(socket: Socket, Data(report): Data<Report>) {
    socket.emit("json", report);
}

async fn ack(Data(text): Data<String>) -> Reply<String> {
    Reply(text)
}

async fn join(socket: Socket, Data(rooms): Data<Vec<String>>) {
    socket.join(rooms);
}

async fn leave(socket: Socket, Data(rooms): Data<Vec<String>>) {
    socket.leave(rooms);
}

async fn cast(io: SocketIo, Data((room, burst, text)): Data<(String, u32, String)>) {
    for _ in 0..burst {
        io.to(&room).emit("cast", &text);
    }
}
