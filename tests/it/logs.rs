//! What clients can make the server log: neither lines of their own making, nor lines without end.

use axum::{Json, Router};
use axum_socketio::{Data, Namespace, Socket, SocketIo};

use crate::support::{Logs, Ws, serve};

/// Lets a client join the rooms that it names.
fn rooms() -> Namespace {
    Namespace::new().on(
        "join",
        async |socket: Socket, Data(rooms): Data<Vec<String>>| {
            socket.join(rooms);
            Json(())
        },
    )
}

#[tokio::test]
async fn refused_joins_are_logged_up_to_a_limit() {
    let logs = Logs::collect("warn");
    let io = SocketIo::builder()
        .namespace("/", rooms())
        .max_rooms(1)
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    let rooms: Vec<_> = (0..2001).map(|n| format!("\"{n}\"")).collect();
    for _ in 0..10 {
        ws.ask(&format!(r#"["join",[{}]]"#, rooms.join(","))).await;
    }
    let limit = "see max_log_records_per_connection";
    assert_eq!(logs.with("room not joined").len(), 10);
    assert_eq!(logs.with(limit).len(), 1, "{:?}", logs.records());
    assert_eq!(io.metrics().logs_left_out, 20_000 - 10);
    // Another connection has a limit of its own.
    let mut other = Ws::joined(server.addr).await;
    other.ask(r#"["join",["a","b"]]"#).await;
    assert_eq!(logs.with("room not joined").len(), 11);
    // The number of those that were left out is logged in the end.
    ws.close().await;
    ws.ended().await;
    assert_eq!(logs.with("left_out=19990").len(), 1, "{:?}", logs.records());
}

#[tokio::test]
async fn all_connections_together_log_up_to_a_limit() {
    let logs = Logs::collect("warn");
    let io = SocketIo::builder()
        .namespace("/", rooms())
        .max_rooms(1)
        .max_log_records(5)
        .max_log_records_per_connection(2)
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    for _ in 0..20 {
        let mut ws = Ws::joined(server.addr).await;
        ws.ask(r#"["join",["a","b","c","d"]]"#).await;
    }
    assert!(logs.with("room not joined").len() <= 5);
    assert_eq!(logs.with("see max_log_records").len(), 1 + 1);
    assert!(logs.records().len() <= 6, "{:?}", logs.records());
}
