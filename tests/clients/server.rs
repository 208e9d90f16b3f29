//! The contract of the test server (README.md in this folder), implemented with our own server.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use axum_socketio::config::{ClientFiles, Compression, Recovery};
use axum_socketio::emit::AckError;
use axum_socketio::extract::{EventContext, FromEvent, Rest};
use axum_socketio::handler::Handler;
use axum_socketio::{
    Auth, BroadcastOperator, Data, DisconnectReason, Namespace, Refused, Reply, Sid, Socket,
    SocketIo, Timeouts,
};
use bytes::Bytes;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify, watch};

/// Any value that a client can send, including binary.
#[derive(Clone)]
enum Any {
    Value(Value),
    Bytes(Bytes),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// A list of arguments of any length.
struct Spread(Vec<Any>);

impl Serialize for Spread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for element in &self.0 {
            tuple.serialize_element(element)?;
        }
        tuple.end()
    }
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Bytes(bytes) => bytes.serialize(serializer),
            Self::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for element in list {
                    seq.serialize_element(element)?;
                }
                seq.end()
            }
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Any;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E: Error>(self) -> Result<Any, E> {
                Ok(Any::Value(Value::Null))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Any, E> {
                Ok(Any::Value(value.into()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Any, E> {
                Ok(Any::Value(value.into()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Any, E> {
                Ok(Any::Value(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Any, E> {
                Ok(Any::Value(value.into()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Any, E> {
                Ok(Any::Value(value.into()))
            }

            fn visit_byte_buf<E: Error>(self, value: Vec<u8>) -> Result<Any, E> {
                Ok(Any::Bytes(value.into()))
            }

            fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Any, E> {
                Ok(Any::Bytes(Bytes::copy_from_slice(value)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    list.push(element);
                }
                Ok(Any::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Any::Object(entries))
            }
        }

        deserializer.deserialize_any(Visit)
    }
}

async fn echo(Data((Rest(args),)): Data<(Rest<Any>,)>) -> Reply<Spread> {
    Reply(Spread(args))
}

async fn bounce(socket: Socket, Data((Rest(args),)): Data<(Rest<Any>,)>) {
    socket.emit("bounced", Spread(args));
}

async fn whoami(
    socket: Socket,
    Auth(auth): Auth<Value>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Json<Value> {
    let header = headers.get("x-test").and_then(|value| value.to_str().ok());
    Json(
        json!({ "id": socket.id(), "nsp": socket.nsp(), "auth": auth, "query": query, "header": header }),
    )
}

async fn add(Data((a, b)): Data<(i64, i64)>) -> Json<i64> {
    Json(a.saturating_add(b))
}

#[derive(Deserialize)]
struct Photo {
    name: String,
    bytes: Bytes,
}

fn sum(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

async fn photo(Data(photo): Data<Photo>) -> Json<Value> {
    Json(json!({ "name": photo.name, "length": photo.bytes.len(), "sum": sum(&photo.bytes) }))
}

#[derive(Serialize)]
struct Parts {
    whole: Bytes,
    parts: Vec<Bytes>,
}

async fn bytes(Data(n): Data<u32>) -> Json<Parts> {
    let whole: Bytes = (0..n).map(|i| i.to_le_bytes()[0]).collect();
    let (first, rest) = (
        whole.slice(..whole.len() / 2),
        whole.slice(whole.len() / 2..),
    );
    Json(Parts {
        whole,
        parts: vec![first, rest],
    })
}

async fn size(Data(thing): Data<Any>) -> Json<usize> {
    Json(match thing {
        Any::Value(Value::String(text)) => text.len(),
        Any::Bytes(bytes) => bytes.len(),
        Any::Value(_) | Any::List(_) | Any::Object(_) => 0,
    })
}

/// Tells a load balancer if the server accepts new connections.
async fn readyz(io: SocketIo) -> axum::http::StatusCode {
    if io.ready() {
        axum::http::StatusCode::OK
    } else {
        axum::http::StatusCode::SERVICE_UNAVAILABLE
    }
}

/// Appends a line to the file that `JOURNAL` names, after a short time.
async fn record(Data(line): Data<String>) -> Result<(), String> {
    use std::io::Write;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let path = std::env::var_os("JOURNAL").ok_or("no journal")?;
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path);
    let mut file = file.map_err(|error| error.to_string())?;
    file.write_all(format!("{line}\n").as_bytes())
        .map_err(|error| error.to_string())
}

async fn slow(Data(ms): Data<u64>) -> Json<u64> {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    Json(ms)
}

async fn never() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}

struct Failure;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            Json(json!({ "error": "it failed", "code": 42 })),
        )
            .into_response()
    }
}

async fn fail() -> Result<(), Failure> {
    Err(Failure)
}

async fn ask(socket: Socket, Data((question, ms)): Data<(Any, u64)>) -> Reply<Value> {
    let asking = socket
        .timeout(Duration::from_millis(ms))
        .emit_with_ack::<Option<Value>>("question", question);
    Reply(match asking.await {
        Ok(answer) => json!({ "answer": answer }),
        Err(AckError::Timeout) => json!({ "error": "timeout" }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

async fn ask_bytes(socket: Socket) -> Json<Value> {
    let asking = socket
        .timeout(Duration::from_secs(5))
        .emit_with_ack::<Bytes>("bytes-please", ());
    Json(match asking.await {
        Ok(bytes) => json!({ "length": bytes.len(), "sum": sum(&bytes) }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

async fn burst(socket: Socket, Data(n): Data<u32>) -> Json<u32> {
    for i in 0..n {
        socket.emit("tick", i);
    }
    Json(n)
}

async fn stream(socket: Socket, Data((n, ms)): Data<(u32, u64)>) -> Json<u32> {
    for i in 0..n {
        socket.emit("tick", i);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    Json(n)
}

/// The state of a socket's `numbers`: the order to stop, and the final count. It is stored with the socket, wherever
/// its client is.
#[derive(Clone)]
struct Numbers {
    stop: watch::Sender<bool>,
    count: watch::Sender<Option<u32>>,
}

/// Sends numbers to its client until it is told to stop, whatever happens to the connection.
async fn numbers(socket: Socket, Data(ms): Data<u64>) {
    let numbers = Numbers {
        stop: watch::Sender::new(false),
        count: watch::Sender::new(None),
    };
    socket.insert(numbers.clone());
    let mut count = 0;
    while !*numbers.stop.borrow() && socket.emit("number", count).ok() {
        count += 1;
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    numbers.count.send_replace(Some(count));
}

async fn stop(Extension(numbers): Extension<Numbers>) -> Json<Option<u32>> {
    numbers.stop.send_replace(true);
    let mut count = numbers.count.subscribe();
    let count = count.wait_for(Option::is_some).await;
    Json(count.ok().and_then(|count| *count))
}

async fn cut(socket: Socket) {
    let _ = socket.close(4000, "cut off");
}

/// The list of `count` of one socket.
type Counted = std::sync::Arc<Mutex<Vec<i64>>>;

/// Registers handlers that share the state of one socket.
fn count_on(socket: &Socket) {
    let counted = Counted::default();
    let counting = counted.clone();
    socket.on("count", move |Data(i): Data<i64>| async move {
        counting.lock().await.push(i)
    });
    let counted = move || async move { Json(std::mem::take(&mut *counted.lock().await)) };
    socket.on("counted", counted);
}

async fn welcome(socket: Socket, Auth(auth): Auth<Value>) {
    socket.emit("welcome", (socket.id(), auth));
    count_on(&socket);
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

fn rooms(socket: &Socket) -> Vec<String> {
    let mut rooms: Vec<_> = socket
        .rooms()
        .iter()
        .skip(1)
        .map(ToString::to_string)
        .collect();
    rooms.sort();
    rooms
}

async fn join(socket: Socket, Data(wanted): Data<OneOrMore>) -> Json<Vec<String>> {
    match wanted {
        OneOrMore::One(room) => socket.join(room),
        OneOrMore::More(rooms) => socket.join(rooms),
    };
    Json(rooms(&socket))
}

async fn leave(socket: Socket, Data(room): Data<String>) -> Json<Vec<String>> {
    socket.leave(room);
    Json(rooms(&socket))
}

async fn members(io: SocketIo, Data(room): Data<String>) -> Json<Vec<Sid>> {
    let sockets = io.to(room).fetch_sockets().await.unwrap_or_default();
    let mut ids: Vec<_> = sockets.iter().map(|socket| socket.id()).collect();
    ids.sort();
    Json(ids)
}

#[derive(Deserialize)]
struct Send {
    to: Option<Vec<String>>,
    #[serde(default)]
    except: Vec<String>,
    event: String,
    data: Any,
}

impl Send {
    fn to(self, all: BroadcastOperator) {
        let chosen = match self.to {
            Some(rooms) => all.to(rooms),
            None => all,
        };
        chosen.except(self.except).emit(self.event, self.data);
    }
}

async fn send(socket: Socket, Data(what): Data<Send>) {
    what.to(socket.broadcast());
}

async fn send_all(socket: Socket, io: SocketIo, Data(what): Data<Send>) {
    what.to(io.of(socket.nsp()).broadcast());
}

#[derive(Serialize)]
struct Polled {
    answers: Vec<Option<Any>>,
    complete: bool,
}

async fn poll(io: SocketIo, Data((room, question, ms)): Data<(String, Any, u64)>) -> Reply<Polled> {
    let asking = io
        .to(room)
        .timeout(Duration::from_millis(ms))
        .emit_with_ack("question", question);
    let (answers, summary) = asking.all().await;
    let answers = answers.into_iter().map(|(_, answer)| answer).collect();
    Reply(Polled {
        answers,
        complete: summary.missing.is_empty(),
    })
}

async fn watch(socket: Socket, Data(id): Data<Sid>) {
    socket.join(format!("watch:{id}"));
}

async fn gone(socket: Socket, reason: DisconnectReason, io: SocketIo) {
    let gone = json!({ "id": socket.id(), "reason": reason.as_str(), "rooms": rooms(&socket) });
    io.to(format!("watch:{}", socket.id())).emit("gone", gone);
}

async fn kick(socket: Socket, Data(close): Data<Option<bool>>) {
    if close == Some(true) {
        socket.disconnect_all()
    } else {
        socket.disconnect()
    }
}

#[derive(Clone, Serialize)]
struct User {
    name: &'static str,
}

async fn authenticate(Auth(auth): Auth<Value>) -> Result<Extension<User>, Refused> {
    match auth.get("token") {
        Some(Value::String(token)) if token == "sesame" => Ok(Extension(User { name: "admin" })),
        Some(Value::String(token)) if token == "quiet" => Err(Refused::new("go away")),
        Some(token) => {
            Err(Refused::new("not authorized").data(json!({ "code": "bad_token", "got": token })))
        }
        None => Err(Refused::new("not authorized").data(json!({ "code": "no_token" }))),
    }
}

async fn user(Extension(user): Extension<User>) -> Json<User> {
    Json(user)
}

/// The part of a namespace's name after `/room-`.
struct RoomName(String);

impl<S: Sync, P> FromEvent<S, P> for RoomName {
    type Rejection = std::convert::Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(
            cx.socket().nsp().trim_start_matches("/room-").to_owned(),
        ))
    }
}

async fn name(RoomName(name): RoomName) -> Json<String> {
    Json(name)
}

fn root() -> Namespace<()> {
    Namespace::new()
        .on_connect(welcome)
        .on("echo", echo)
        .on("bounce", bounce)
        .on("whoami", whoami)
        .on("add", add)
        .on("photo", photo)
        .on("bytes", bytes)
        .on("size", size)
        .on("record", record)
        .on("slow", slow)
        .on("never", never.cancel_on_disconnect())
        .on("fail", fail)
        .on("ask", ask)
        .on("ask-bytes", ask_bytes)
        .on("burst", burst)
        .on("stream", stream)
        .on("numbers", numbers)
        .on("stop", stop)
        .on("cut", cut)
        .on("join", join)
        .on("leave", leave)
        .on("members", members)
        .on("send", send)
        .on("send-all", send_all)
        .on("poll", poll)
        .on("watch", watch)
        .on("kick", kick)
        .on("open-gate", open_gate)
        .on_disconnect(gone)
}

fn admin() -> Namespace<()> {
    Namespace::new()
        .middleware(authenticate)
        .on("echo", echo)
        .on("whoami", whoami)
        .on("send-all", send_all)
        .on("kick", kick)
        .on("user", user)
}

fn room() -> Namespace<()> {
    Namespace::new()
        .on("name", name)
        .on("whoami", whoami)
        .on("send-all", send_all)
}

/// Waits for `open-gate` in `/`.
async fn wait_at_the_gate() {
    GATE.notified().await;
}

async fn open_gate() {
    GATE.notify_waiters();
}

static GATE: Notify = Notify::const_new();

fn gated() -> Namespace<()> {
    Namespace::new()
        .middleware(wait_at_the_gate)
        .on("echo", echo)
}

fn millis(name: &str, default: u64) -> Duration {
    let given = std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok());
    Duration::from_millis(given.unwrap_or(default))
}

/// The folder of the client's files, relative to the root of the repository.
const CLIENT: &str = "tests/clients/node/node_modules/socket.io-client/dist";

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut builder = SocketIo::builder()
        .timeouts(
            Timeouts::new()
                .ping_interval(millis("PING_INTERVAL", 25_000))
                .ping_timeout(millis("PING_TIMEOUT", 20_000))
                .drain_window(millis("DRAIN_WINDOW", 0))
                .drain_limit(millis("DRAIN_LIMIT", 3_000)),
        )
        .namespace("/", root())
        .namespace("/admin", admin())
        .namespace("/gated", gated());
    for name in ["red", "blue"] {
        builder = builder.namespace(format!("/room-{name}"), room());
    }
    if let Some(how) = std::env::var_os("COMPRESSION") {
        let mut compression = Compression::new();
        if how == "takeover" {
            compression = compression
                .server_context_takeover()
                .client_context_takeover();
        }
        builder = builder.compression(compression);
    }
    if std::env::var_os("ALLOW_EIO3").is_some() {
        builder = builder.allow_eio3();
    }
    if std::env::var_os("RECOVERY").is_some() {
        builder = builder.recovery(Recovery::new());
    }
    #[cfg(feature = "msgpack")]
    if std::env::var_os("PARSER").is_some_and(|name| name == "msgpack") {
        builder = builder.parser(axum_socketio::parser::Msgpack);
    }
    // The files are missing before `npm ci`; the tests of clients in other languages do not need them.
    if let Ok(files) = ClientFiles::from_dir(CLIENT) {
        builder = builder.serve_client(files);
    }
    let io = builder.build();
    let port = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(0);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    #[expect(clippy::print_stdout, reason = "the tests read it")]
    {
        println!("listening on {}", listener.local_addr()?.port());
    }
    let app = Router::new()
        .route("/readyz", axum::routing::get(readyz))
        .layer(io.layer());
    axum::serve(listener, app)
        .with_graceful_shutdown(io.graceful(axum_socketio::shutdown_signal()))
        .await?;
    io.closed().await;
    Ok(())
}
