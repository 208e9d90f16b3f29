//! One of several servers, each in a process of its own, beside Node.js servers: `tests/clients/node/cluster.test.mjs`
//! starts it, by the examples of the crates of engines. `tests/clients/node/cluster-twin.mjs` is the same in JavaScript.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::{Json, Router};
use axum_socketio::cluster::Wire;
use axum_socketio::config::Recovery;
use axum_socketio::{Data, Namespace, Sid, Socket, SocketIo};
use bytes::Bytes;
use serde_json::{Value, json};

/// Runs a server in a cluster until it is asked to shut down.
pub(crate) async fn run(cluster: impl Wire) -> Result<(), Box<dyn std::error::Error>> {
    let namespace = Namespace::new()
        .on("op", operate)
        .on_server("add", async |Data((a, b)): Data<(u64, u64)>| Json(a + b))
        .on_server("noticed", async |Data(by): Data<String>| {
            noticed().push(by);
        });
    let mut builder = SocketIo::builder().cluster(cluster);
    if std::env::var("RECOVERY").is_ok() {
        builder = builder.recovery(Recovery::new());
    }
    let io = builder.namespace("/", namespace).build();
    let app = Router::new().layer(io.layer());
    let port = std::env::var("PORT").unwrap_or_else(|_| "0".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    #[expect(clippy::print_stdout, reason = "the tests read it")]
    {
        println!("listening on {}", listener.local_addr()?.port());
    }
    axum::serve(listener, app)
        .with_graceful_shutdown(io.graceful(axum_socketio::shutdown_signal()))
        .await?;
    io.closed().await;
    Ok(())
}

/// Carries out an operation that a client asks for.
async fn operate(
    io: SocketIo,
    socket: Socket,
    Data((name, args)): Data<(String, Value)>,
) -> Json<Value> {
    let text = |name: &str| {
        let text = args.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let room = text("room");
    Json(match name.as_str() {
        "emit" => emit(&io, &args),
        "broadcast" => json!(socket.broadcast().emit("news", "broadcast").ok()),
        "set data" => json!(socket.set_data(args.get("value")).is_ok()),
        "data" => socket.data().unwrap_or_default(),
        "local" => json!(io.local().emit("news", "local").ok()),
        "join" => json!(socket.join(room).await.is_ok()),
        "sockets join" => {
            io.to(text("from")).join(room.as_str());
            json!(io.to(room).emit("news", "joined").ok())
        }
        "sockets leave" => {
            io.to(text("from")).leave(room);
            json!(true)
        }
        "disconnect" => {
            io.to(room).disconnect();
            json!(true)
        }
        "fetch" => fetch(&io, &room).await,
        "count" => json!(io.to(room).count().await.ok()),
        "ask" => ask(&io, &room).await,
        "noticed" => json!(std::mem::take(&mut *noticed())),
        "ask servers" => {
            let asked = io.server_side_emit_with_ack::<u64>("add", (2, 3)).await;
            json!(asked.map(|asked| asked.answers).ok())
        }
        _ => Value::Null,
    })
}

/// The events of programs without a server, since they were last asked for.
fn noticed() -> MutexGuard<'static, Vec<String>> {
    static NOTICED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    NOTICED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn emit(io: &SocketIo, args: &Value) -> Value {
    let names = |name: &str| {
        serde_json::from_value::<Vec<String>>(args.get(name).cloned().unwrap_or_default())
            .unwrap_or_default()
    };
    let (to, except) = (names("to"), names("except"));
    let all = io.of("/");
    let target = if to.is_empty() {
        all.except(except)
    } else {
        all.to(to).except(except)
    };
    let sent = if args.get("binary") == Some(&Value::Bool(true)) {
        target.emit(
            "news",
            (
                Bytes::from_static(&[1, 2, 255]),
                json!({ "in": [1.5, null, "é"] }),
            ),
        )
    } else {
        target.emit("news", args.get("value"))
    };
    json!(sent.ok())
}

async fn fetch(io: &SocketIo, room: &str) -> Value {
    let Ok(sockets) = io.to(room).fetch_sockets().await else {
        return Value::Null;
    };
    let facts = sockets.iter().map(|socket| {
        let mut rooms: Vec<_> = socket.rooms().iter().map(|room| room.to_string()).collect();
        rooms.sort();
        (
            socket.id(),
            rooms,
            summary(&socket.handshake().unwrap_or_default()),
        )
    });
    let mut facts: Vec<(Sid, Vec<String>, Value)> = facts.collect();
    facts.sort_by_key(|(id, ..)| *id);
    json!(facts)
}

/// The members of a handshake that the test compares.
fn summary(handshake: &Value) -> Value {
    let text = |path: &str| {
        let member = handshake.pointer(path).and_then(Value::as_str);
        member.unwrap_or_default()
    };
    let issued = handshake.get("issued").and_then(Value::as_u64);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_secs() * 1000);
    json!([
        text("/query/color"),
        text("/auth/token"),
        text("/url").split('?').next(),
        handshake.get("xdomain"),
        handshake.get("secure"),
        text("/headers/host").starts_with("127.0.0.1"),
        now.abs_diff(issued.unwrap_or_default()) < 600_000,
        text("/time").contains(" GMT"),
    ])
}

async fn ask(io: &SocketIo, room: &str) -> Value {
    let asked = io.to(room).timeout(Duration::from_secs(5));
    let (answers, summary) = asked.emit_with_ack::<String>("question", "?").all().await;
    let mut answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
    answers.sort();
    json!({ "answers": answers, "missing": summary.missing.len() + summary.silent_servers })
}
