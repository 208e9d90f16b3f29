//! The messages of a server and an engine, one by one.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum_socketio::cluster::{
    AdapterError, BoxFuture, Channel, Family, Heartbeats, Presence, PublishError, Receiver,
    RoomChannels, Wire, WireConnection, WireError,
};
use axum_socketio::testing::TestClient;
use axum_socketio::{Data, Limits, Namespace, Sid, Socket, SocketIo};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::{app, connect};
use crate::support::Logs;

/// An engine that records what is published, and delivers what a test gives it.
#[derive(Clone, Default)]
pub(super) struct Engine(pub(super) Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    receiver: Option<Arc<dyn Receiver>>,
    published: Vec<(String, Bytes)>,
    pub(super) subscribed: Vec<String>,
    /// The number of servers that have subscribed to each channel.
    pub(super) servers: usize,
    /// The engine tells that number only after this has been notified.
    pub(super) delay: Option<Arc<Notify>>,
    /// True if the engine does not tell it at all.
    pub(super) is_gone: bool,
    is_full: bool,
    rooms: RoomChannels,
    family: Family,
    /// Wakes those who wait for the confirmation of rooms, if there is one.
    confirms: Option<Arc<Notify>>,
    heartbeats: Option<Heartbeats>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

fn name(channel: Channel<'_>) -> String {
    match channel {
        Channel::Namespace { nsp } => format!("{nsp}#"),
        Channel::Room { nsp, room } => format!("{nsp}#{room}#"),
        Channel::Requests { nsp } => format!("{nsp}#requests#"),
        Channel::Server { nsp, uid } => format!("{nsp}#{uid}#"),
    }
}

impl Wire for Engine {
    fn connect(&self, receiver: Arc<dyn Receiver>) -> Arc<dyn WireConnection> {
        self.0.lock().unwrap().receiver = Some(receiver);
        Arc::new(self.clone())
    }

    fn family(&self) -> Family {
        self.0.lock().unwrap().family
    }
}

impl WireConnection for Engine {
    fn publish(&self, channel: Channel<'_>, message: Bytes) -> Result<(), PublishError> {
        let mut state = self.0.lock().unwrap();
        if state.is_full {
            return Err(PublishError::Full);
        }
        state.published.push((name(channel), message));
        Ok(())
    }

    fn subscribe(&self, channel: Channel<'_>) -> BoxFuture<Result<(), WireError>> {
        self.0.lock().unwrap().subscribed.push(name(channel));
        let confirmation = self.confirmation(channel);
        confirmation.unwrap_or_else(|| Box::pin(ready(Ok(()))))
    }

    fn confirmation(&self, _: Channel<'_>) -> Option<BoxFuture<Result<(), WireError>>> {
        let confirms = self.0.lock().unwrap().confirms.clone()?;
        Some(Box::pin(async move {
            confirms.notified().await;
            Ok(())
        }))
    }

    fn unsubscribe(&self, channel: Channel<'_>) {
        let (name, subscribed) = (name(channel), &mut self.0.lock().unwrap().subscribed);
        let at = subscribed.iter().position(|other| *other == name);
        subscribed.remove(at.expect("each subscription is ended once"));
    }

    fn subscribers(&self, _: Channel<'_>) -> BoxFuture<Result<usize, WireError>> {
        let state = self.0.lock().unwrap();
        let count = if state.is_gone {
            Err(WireError(None))
        } else {
            Ok(state.servers)
        };
        match state.delay.clone() {
            None => Box::pin(ready(count)),
            Some(delay) => Box::pin(async move {
                delay.notified().await;
                count
            }),
        }
    }

    fn presence(&self) -> Presence {
        let heartbeats = self.0.lock().unwrap().heartbeats;
        heartbeats.map_or(Presence::Counted, Presence::Heartbeats)
    }

    fn room_channels(&self) -> RoomChannels {
        self.0.lock().unwrap().rooms
    }
}

impl Engine {
    pub(super) fn with_servers(servers: usize) -> Self {
        let engine = Self::default();
        engine.0.lock().unwrap().servers = servers;
        engine
    }

    /// Delivers a message to the server.
    pub(super) fn deliver(&self, nsp: &str, message: impl Into<Bytes>) {
        let receiver = self.0.lock().unwrap().receiver.clone();
        receiver
            .unwrap()
            .receive(Channel::Namespace { nsp }, message.into());
    }

    /// Creates an engine like Redis with the classic adapter.
    fn classic(servers: usize) -> Self {
        let engine = Self::with_servers(servers);
        let mut state = engine.0.lock().unwrap();
        (state.family, state.rooms) = (Family::Classic, RoomChannels::All);
        drop(state);
        engine
    }

    /// Delivers a request of a Node.js server with the classic adapter.
    fn request(&self, request: &Value) {
        let receiver = self.0.lock().unwrap().receiver.clone();
        let bytes = request.to_string().into();
        let channel = Channel::Requests { nsp: "/" };
        receiver.unwrap().receive(channel, bytes);
    }

    /// Returns the only message that has been published, as text.
    fn only(&self) -> (String, Bytes) {
        let mut published = std::mem::take(&mut self.0.lock().unwrap().published);
        assert_eq!(published.len(), 1, "{published:?}");
        published.remove(0)
    }

    /// Returns the JSON of the only answer that has been published.
    fn answer(&self) -> Value {
        let (channel, answer) = self.only();
        assert_eq!(channel, "/#node#");
        serde_json::from_slice(&answer).unwrap()
    }

    /// Delivers a message of a Node.js server.
    pub(super) fn deliver_json(&self, kind: u8, data: &Value) {
        let message = json!({ "type": kind, "data": data, "uid": "node", "nsp": "/" });
        self.deliver("/", message.to_string());
    }

    /// Returns an engine that cannot count servers.
    pub(super) fn with_heartbeats() -> Self {
        let engine = Self::default();
        engine.0.lock().unwrap().heartbeats = Some(Heartbeats {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
        });
        engine
    }

    fn receiver(&self) -> Arc<dyn Receiver> {
        self.0.lock().unwrap().receiver.clone().unwrap()
    }

    /// Lets time pass, second by second.
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.receiver().tick();
        }
    }

    /// Delivers a message without data of another server.
    pub(super) fn deliver_sign(&self, uid: &str, kind: u8) {
        let message = json!({ "type": kind, "uid": uid, "nsp": "/" });
        self.deliver("/", message.to_string());
    }

    /// Returns the types of the messages that have been published since the last call.
    fn kinds(&self) -> Vec<u64> {
        let published = self.published().into_iter();
        let kind = |message: Value| message["type"].as_u64().unwrap();
        published
            .map(|(_, message)| kind(serde_json::from_str(&message).unwrap()))
            .collect()
    }

    /// Returns what has been published since the last call.
    pub(super) fn published(&self) -> Vec<(String, String)> {
        let published = std::mem::take(&mut self.0.lock().unwrap().published);
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let published = published.into_iter();
        published.map(|(name, bytes)| (name, text(bytes))).collect()
    }

    /// Returns the only message that has been published, without the id of its sender.
    pub(super) fn message(&self) -> (String, Value) {
        let mut published = self.published();
        assert_eq!(published.len(), 1, "{published:?}");
        let (channel, message) = published.remove(0);
        let mut message: Value = serde_json::from_str(&message).unwrap();
        let uid = message.as_object_mut().unwrap().remove("uid");
        assert!(uid.is_some());
        (channel, message)
    }
}

pub(super) fn server(engine: &Engine) -> SocketIo {
    let namespace = Namespace::new()
        .on("join", async |socket: Socket| socket.join("x"))
        .on_server("add", async |numbers: Option<Data<(u8, u8)>>| {
            Json(numbers.map_or(0, |Data((a, b))| a + b))
        });
    SocketIo::builder()
        .cluster(engine.clone())
        .limits(Limits::new().max_log_records(20))
        .namespace("/", namespace)
        .build()
}

pub(super) async fn joined(io: &SocketIo) -> TestClient {
    let client = connect(io).await;
    client.emit_with_ack::<()>("join", ()).await;
    client
}

pub(super) fn broadcast(args: &Value, rooms: &[&str]) -> Value {
    json!({ "packet": { "type": 2, "data": args }, "opts": { "rooms": rooms, "except": [], "flags": {} } })
}

#[tokio::test(start_paused = true)]
async fn messages_of_node_servers_move_reach_and_disconnect_clients() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let (ann, bob) = (joined(&io).await, connect(&io).await);
    engine.deliver_json(3, &broadcast(&json!(["news", 1, { "a": null }]), &["x"]));
    assert_eq!(ann.next::<(u8, Value)>("news").await.0, 1);
    bob.expect_no("news").await;
    let opts = json!({ "rooms": [bob.id()], "except": [], "flags": {} });
    engine.deliver_json(4, &json!({ "opts": opts, "rooms": ["x", "y"] }));
    engine.deliver_json(5, &json!({ "opts": opts, "rooms": ["x"] }));
    assert_eq!(
        io.to("y").count().await.map_err(drop),
        Err(()),
        "the other server is silent"
    );
    assert_eq!(io.to("y").local().count().await.unwrap(), 1);
    assert_eq!(io.to("x").local().count().await.unwrap(), 1);
    engine.deliver_json(6, &json!({ "opts": opts, "close": false }));
    bob.disconnected().await;
    // With binary values, the message is MessagePack.
    let message = b"\x84\xa4type\x03\xa4data\x82\xa6packet\x82\xa4type\x02\xa4data\x92\xa3bin\xc4\x03\x01\x02\xff\
        \xa4opts\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80\xa3uid\xa4node\xa3nsp\xa1/";
    engine.deliver("/", Bytes::from_static(message));
    assert_eq!(ann.next::<Bytes>("bin").await, &b"\x01\x02\xff"[..]);
}

#[tokio::test(start_paused = true)]
async fn joins_of_other_servers_have_the_limits_of_this_one() {
    let engine = Engine::with_servers(1);
    let io = SocketIo::builder()
        .cluster(engine.clone())
        .limits(Limits::new().max_rooms(2).max_room_len(4))
        .build();
    let ann = connect(&io).await;
    let opts = json!({ "rooms": [ann.id()], "except": [], "flags": {} });
    engine.deliver_json(
        4,
        &json!({ "opts": opts, "rooms": ["long!", "long", "x", "y"] }),
    );
    let mut rooms: Vec<_> = io.of("/").rooms().await.unwrap().into_keys().collect();
    rooms.sort();
    assert_eq!(rooms, ["long".into(), "x".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_node_server_gets_the_answers_that_it_understands() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let ann = joined(&io).await;
    let _bob = connect(&io).await;
    let mut request = broadcast(&json!(["q"]), &["x"]);
    request["requestId"] = json!("r1");
    request["opts"]["flags"]["timeout"] = json!(2000);
    engine.deliver_json(3, &request);
    let count = json!({ "type": 11, "data": { "requestId": "r1", "clientCount": 1 }, "nsp": "/" });
    assert_eq!(engine.message(), ("/#node#".to_owned(), count));
    ann.next_with_ack::<()>("q").await.ack((7, "second")).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (_, answer) = engine.message();
    assert_eq!(answer["data"]["packet"], 7);
    assert_eq!(
        (&answer["type"], &answer["data"]["sid"]),
        (&json!(12), &Value::Null)
    );

    let opts = json!({ "rooms": ["x"], "except": [], "flags": {} });
    engine.deliver_json(7, &json!({ "opts": opts, "requestId": "r2" }));
    let (channel, answer) = engine.message();
    assert_eq!((&*channel, &answer["type"]), ("/#node#", &json!(8)));
    let sockets = &answer["data"]["sockets"];
    assert_eq!(sockets[0]["id"], json!(ann.id()));
    assert_eq!(sockets[0]["rooms"], json!([ann.id(), "x"]));
    assert_eq!(sockets.as_array().unwrap().len(), 1);

    engine.deliver_json(9, &json!({ "requestId": "r3", "packet": ["add", 2, 3] }));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let answer = json!({ "type": 10, "data": { "requestId": "r3", "packet": 5 }, "nsp": "/" });
    assert_eq!(engine.message(), ("/#node#".to_owned(), answer));
}

#[tokio::test(start_paused = true)]
async fn a_node_server_that_timed_out_is_not_awaited() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let ann = joined(&io).await;
    let mut request = broadcast(&json!(["q"]), &[]);
    request["requestId"] = json!("r1");
    request["opts"]["flags"]["timeout"] = json!(2000);
    engine.deliver_json(3, &request);
    let question = ann.next_with_ack::<()>("q").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    engine.published();
    question.ack(1).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(engine.published(), []);
}

#[tokio::test(start_paused = true)]
async fn a_server_sends_what_node_servers_send() {
    let engine = Engine::with_servers(1);
    let io = server(&engine);
    io.to("x")
        .except("y")
        .volatile()
        .emit("hello", ("world", 1));
    let expected = json!({
        "type": 3, "nsp": "/",
        "data": {
            "packet": { "type": 2, "data": ["hello", "world", 1] },
            "opts": { "rooms": ["x"], "except": ["y"], "flags": { "volatile": true } },
        },
    });
    assert_eq!(engine.message(), ("/#".to_owned(), expected));
    io.local().emit("hello", ());
    io.to(None::<&str>).emit("hello", ());
    assert_eq!(engine.published(), []);
    assert_eq!(
        io.of("/").count().await.unwrap(),
        0,
        "there is no other server"
    );
}

#[tokio::test(start_paused = true)]
async fn bad_messages_are_dropped_and_logged_up_to_the_limit() {
    let logs = Logs::collect("warn");
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let ann = joined(&io).await;
    for _ in 0..10 {
        for message in [
            &b""[..],
            b"\xc1\xff",
            b"{",
            b"{\"type\":3}",
            b"[1]",
            b"\x81\xa4type\x03",
        ] {
            engine.deliver("/", Bytes::from_static(message));
        }
        for args in [json!(["connect"]), json!([]), json!([1]), json!("x")] {
            engine.deliver_json(3, &broadcast(&args, &[]));
        }
        engine.deliver_json(200, &json!({}));
        engine.deliver_json(12, &json!({ "requestId": "unknown", "packet": 1 }));
    }
    assert_eq!(logs.with("message of another server dropped").len(), 20);
    assert_eq!(io.metrics().cluster_messages_lost["malformed"], 100);
    engine.deliver_json(3, &broadcast(&json!(["news", 1]), &[]));
    assert_eq!(ann.next::<u8>("news").await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_nothing_delays_and_loses_nothing_here() {
    let logs = Logs::collect("warn");
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let ann = joined(&io).await;
    assert!(io.emit("news", 0).published() && io.server_side_emit("x", 0).published());
    assert_eq!(ann.next::<u8>("news").await, 0);
    let sent = io.metrics().cluster_messages["sent"];
    engine.0.lock().unwrap().is_full = true;
    let emitted = io.emit("news", 1);
    assert!(emitted.ok() && !emitted.published());
    // It is for nobody else.
    assert!(io.local().emit("other", 1).published());
    assert_eq!(ann.next::<u8>("news").await, 1);
    assert_eq!(logs.with("message to other servers lost").len(), 1);
    assert_eq!(io.metrics().cluster_messages_lost["full"], 1);
    assert_eq!(io.metrics().cluster_messages["sent"], sent);
    let emitted = io.server_side_emit("x", 1);
    assert!(emitted.ok() && !emitted.published());
    assert!(matches!(
        io.of("/").count().await,
        Err(AdapterError::Timeout { missing: 1 })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_names_its_clients_is_reported_as_silent() {
    let engine = Engine::with_servers(3);
    let io = server(&engine);
    let ann = connect(&io).await;
    let asking = io
        .timeout(Duration::from_secs(1))
        .emit_with_ack::<u8>("q", ());
    ann.next_with_ack::<()>("q").await.ack(1).await;
    let (channel, request) = engine.message();
    assert_eq!(channel, "/#");
    let count = json!({ "requestId": request["data"]["requestId"], "clientCount": 0 });
    engine.deliver_json(11, &count);
    let (answers, summary) = asking.all().await;
    assert_eq!(answers, [(ann.id(), 1)]);
    assert_eq!(summary.silent_servers, 1);
    // The other servers need not answer any more.
    let (_, message) = engine.message();
    assert_eq!(message["type"], 100);
}

#[tokio::test(start_paused = true)]
async fn a_server_leaves_the_channels_of_its_namespaces() {
    let engine = Engine::with_servers(1);
    let io = server(&engine);
    let subscribed = || engine.0.lock().unwrap().subscribed.clone();
    assert_eq!(subscribed().len(), 2);
    assert_eq!(subscribed()[0], "/#");
    io.close();
    io.closed().await;
    assert_eq!(subscribed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_room_has_a_channel_while_it_has_members_here() {
    let engine = Engine::with_servers(2);
    engine.0.lock().unwrap().rooms = RoomChannels::Joined;
    let io = server(&engine);
    let rooms = || {
        let subscribed = engine.0.lock().unwrap().subscribed.clone();
        subscribed.iter().filter(|name| *name == "/#x#").count()
    };
    let (ann, bob) = (connect(&io).await, joined(&io).await);
    assert_eq!(rooms(), 1);
    ann.emit_with_ack::<()>("join", ()).await;
    assert_eq!(rooms(), 1);
    ann.disconnect().await;
    io.to(bob.id()).local().leave("x");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(rooms(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_for_one_room_is_published_to_its_channel() {
    let engine = Engine::with_servers(2);
    engine.0.lock().unwrap().rooms = RoomChannels::Joined;
    let io = server(&engine);
    let channel = |io: &SocketIo, rooms: &[&str]| {
        io.to(rooms).emit("news", ());
        engine.message().0
    };
    assert_eq!(channel(&io, &["x"]), "/#x#");
    assert_eq!(channel(&io, &["x", "y"]), "/#");
    assert_eq!(
        channel(&io, &["AAAAAAAAAAAAAAAAAAAA"]),
        "/#",
        "a socket's id"
    );
    // Sockets of other servers join: their servers subscribe a moment later.
    io.to("x").join("y");
    engine.published();
    assert_eq!(channel(&io, &["y"]), "/#");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(channel(&io, &["y"]), "/#y#");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_node_server_may_arrive_before_the_number_of_its_sockets() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let asking = io
        .timeout(Duration::from_secs(1))
        .emit_with_ack::<u8>("q", ());
    let (_, request) = engine.message();
    let id = &request["data"]["requestId"];
    for answer in [7, 8, 9] {
        engine.deliver_json(12, &json!({ "requestId": id, "packet": answer }));
    }
    engine.deliver_json(11, &json!({ "requestId": id, "clientCount": 2 }));
    let (answers, summary) = asking.all().await;
    assert_eq!(answers, [(Sid::UNNAMED, 7), (Sid::UNNAMED, 8)]);
    assert_eq!((summary.asked, summary.missing), (2, vec![]));
}

#[tokio::test(start_paused = true)]
async fn answers_of_a_node_server_are_collected_without_ids() {
    let engine = Engine::with_servers(2);
    let io = server(&engine);
    let asking = io
        .timeout(Duration::from_secs(1))
        .emit_with_ack::<u8>("q", ());
    let (_, request) = engine.message();
    let id = &request["data"]["requestId"];
    engine.deliver_json(11, &json!({ "requestId": id, "clientCount": 3 }));
    for answer in [7, 8] {
        engine.deliver_json(12, &json!({ "requestId": id, "packet": answer }));
    }
    let (answers, summary) = asking.all().await;
    assert_eq!(answers, [(Sid::UNNAMED, 7), (Sid::UNNAMED, 8)]);
    assert_eq!((summary.asked, summary.missing), (3, vec![Sid::UNNAMED]));
}

#[tokio::test(start_paused = true)]
async fn servers_that_cannot_be_counted_send_heartbeats() {
    let engine = Engine::with_heartbeats();
    let io = server(&engine);
    assert_eq!(engine.kinds(), [0; 0]);
    engine.receiver().subscribed("/");
    assert_eq!(engine.kinds(), [1]);
    engine.deliver_sign("node", 1);
    assert_eq!(engine.kinds(), [2]);
    engine.deliver_sign("node", 2);
    engine.pass(11).await;
    assert_eq!(engine.kinds(), [2, 2]);
    io.close();
    io.closed().await;
    assert_eq!(engine.kinds(), [13]);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_servers_that_are_known_by_their_messages() {
    let engine = Engine::with_heartbeats();
    let io = server(&engine);
    assert_eq!(
        io.of("/").count().await.unwrap(),
        0,
        "no other server is known"
    );
    engine.published();
    engine.deliver_sign("one", 2);
    engine.deliver_sign("two", 2);
    engine.deliver_sign("emitter", 2);
    let asking = async {
        let (_, request) = engine.message();
        let id = &request["data"]["requestId"];
        let answer = |uid| json!({ "type": 8, "uid": uid, "nsp": "/", "data": { "requestId": id, "sockets": [] } });
        engine.deliver("/", answer("one").to_string());
        engine.deliver("/", answer("one").to_string());
        tokio::time::sleep(Duration::from_secs(1)).await;
        engine.deliver_sign("two", 13);
    };
    let root = io.of("/");
    let (count, ()) = tokio::join!(root.count(), asking);
    assert_eq!(count.unwrap(), 0);
    // A server that is silent for too long is gone as well.
    engine.pass(9).await;
    let silent = root.count();
    let (count, ()) = tokio::join!(silent, engine.pass(3));
    assert_eq!(count.unwrap(), 0);
    assert_eq!(root.count().await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_of_a_server_that_is_gone_are_not_awaited() {
    let engine = Engine::with_heartbeats();
    let io = server(&engine);
    for uid in ["counted", "silent"] {
        engine.deliver_sign(uid, 2);
    }
    let asking = io.of("/").no_timeout().emit_with_ack::<u8>("q", ());
    let (_, request) = engine.message();
    let id = &request["data"]["requestId"];
    let data = json!({ "requestId": id, "clientCount": 2 });
    let count = |uid| json!({ "type": 11, "uid": uid, "nsp": "/", "data": data });
    engine.deliver("/", count("counted").to_string());
    engine.deliver("/", count("newcomer").to_string());
    for uid in ["counted", "silent", "newcomer"] {
        engine.deliver_sign(uid, 13);
    }
    let (answers, summary) = asking.all().await;
    assert_eq!(answers, []);
    assert_eq!((summary.asked, summary.silent_servers), (4, 0));
    assert_eq!(summary.left.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_namespace_emits_as_an_emitter_where_servers_are_known_by_their_messages()
 {
    let engine = Engine::with_heartbeats();
    let io = SocketIo::builder()
        .cluster(engine.clone())
        .namespace("/rooms-{id}", Namespace::new())
        .build();
    engine.published();
    io.of("/rooms-1").emit("news", 1);
    let published = engine.published();
    assert_eq!(published.len(), 1, "{published:?}");
    let message: Value = serde_json::from_str(&published[0].1).unwrap();
    assert_eq!(
        (&message["uid"], &message["nsp"]),
        (&json!("emitter"), &json!("/rooms-1"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_classic_server_of_node_gets_the_answers_that_it_understands() {
    let engine = Engine::classic(2);
    let io = server(&engine);
    let ann = joined(&io).await;
    let sid = ann.id();
    let ask = |kind: u8, request: Value| {
        let mut all = json!({ "uid": "node", "requestId": "r", "type": kind });
        let members = request.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(members);
        engine.request(&all);
    };
    let opts = json!({ "rooms": ["x"], "except": [] });
    ask(0, json!({ "rooms": ["x"] }));
    assert_eq!(
        engine.answer(),
        json!({ "requestId": "r", "sockets": [sid] })
    );
    ask(1, json!({}));
    assert_eq!(
        engine.answer(),
        json!({ "requestId": "r", "rooms": [sid, "x"] })
    );
    ask(5, json!({ "opts": opts }));
    let answer = engine.answer();
    assert_eq!(answer["sockets"][0]["id"], json!(sid));
    assert_eq!(answer["sockets"][0]["rooms"], json!([sid, "x"]));
    ask(6, json!({ "data": ["add", 2, 3] }));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let sum = json!({ "type": 6, "requestId": "r", "data": 5 });
    assert_eq!(engine.answer(), sum);
    let packet = json!({ "type": 2, "data": ["q"], "nsp": "/" });
    ask(7, json!({ "packet": packet, "opts": opts }));
    let count = json!({ "type": 8, "requestId": "r", "clientCount": 1 });
    assert_eq!(engine.answer(), count);
    ann.next_with_ack::<()>("q").await.ack(7).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let acknowledgement = b"\x83\xa4type\x09\xa9requestId\xa1r\xa6packet\x07";
    let expected = ("/#node#".to_owned(), Bytes::from_static(acknowledgement));
    assert_eq!(engine.only(), expected);

    // The requests of old servers name a socket.
    ask(2, json!({ "sid": sid, "room": "y" }));
    assert_eq!(engine.answer(), json!({ "requestId": "r" }));
    ask(3, json!({ "sid": sid, "room": "x" }));
    assert_eq!(engine.answer(), json!({ "requestId": "r" }));
    ask(2, json!({ "sid": "elsewhere", "room": "y" }));
    assert_eq!(engine.published(), []);
    assert_eq!(io.to("x").local().count().await.unwrap(), 0);
    assert_eq!(io.to("y").local().count().await.unwrap(), 1);
    ask(4, json!({ "sid": sid, "close": false }));
    ann.disconnected().await;
    assert_eq!(engine.answer(), json!({ "requestId": "r" }));
}

#[tokio::test(start_paused = true)]
async fn a_classic_server_sends_what_node_servers_send() {
    let engine = Engine::classic(1);
    let io = server(&engine);
    let ann = joined(&io).await;
    let subscribed = || {
        let mut all = engine.0.lock().unwrap().subscribed.clone();
        all.retain(|name| !name.contains("request") && name != "/#");
        all
    };
    let own = format!("/#{}#", ann.id());
    assert!(subscribed().contains(&own));
    io.to(ann.id()).emit("hello", 1);
    let (channel, event) = engine.only();
    assert_eq!(channel, own);
    assert_eq!(event.first(), Some(&0x93), "an array of three");
    io.to("x").leave("y");
    let (channel, request) = engine.message();
    assert_eq!(channel, "/#requests#");
    let opts = json!({ "rooms": ["x"], "except": [] });
    assert_eq!(request, json!({ "type": 3, "opts": opts, "rooms": ["y"] }));
    ann.disconnect().await;
    assert_eq!(subscribed().len(), 1, "the answers for this server");
}

#[tokio::test(start_paused = true)]
async fn a_client_is_connected_when_other_servers_reach_it() {
    let engine = Engine::classic(1);
    let io = server(&engine);
    let confirms = Arc::new(Notify::new());
    engine.0.lock().unwrap().confirms = Some(Arc::clone(&confirms));
    let mut connecting = Box::pin(connect(&io));
    let early = timeout(Duration::from_millis(500), &mut connecting).await;
    assert!(early.is_err());
    let subscribed = || engine.0.lock().unwrap().subscribed.len();
    assert_eq!(subscribed(), 4, "the room of its id");
    confirms.notify_waiters();
    let ann = connecting.await;
    let own = format!("/#{}#", ann.id());
    assert!(engine.0.lock().unwrap().subscribed.contains(&own));
    assert_eq!(subscribed(), 4);
    ann.disconnect().await;
    assert_eq!(subscribed(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_connected_when_messages_for_its_namespace_arrive() {
    for engine in [Engine::with_servers(1), Engine::classic(1)] {
        let confirms = Arc::new(Notify::new());
        engine.0.lock().unwrap().confirms = Some(Arc::clone(&confirms));
        let io = SocketIo::builder()
            .cluster(engine.clone())
            .namespace("/", Namespace::new())
            .namespace("/rooms-{id}", Namespace::new())
            .build();
        // The first client creates the namespace on this server.
        for nsp in ["/", "/rooms-1"] {
            let mut connecting = Box::pin(app(&io).connect(nsp).into_future());
            let early = timeout(Duration::from_millis(500), &mut connecting).await;
            assert!(early.is_err(), "{nsp}");
            confirms.notify_waiters();
            connecting.await.unwrap();
            if engine.0.lock().unwrap().rooms == RoomChannels::None {
                // There is nothing to wait for any more.
                app(&io).connect(nsp).await.unwrap();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn neither_a_connect_nor_a_join_waits_for_an_engine_without_end() {
    let engine = Engine::classic(1);
    let io = server(&engine);
    engine.0.lock().unwrap().confirms = Some(Arc::default());
    let start = Instant::now();
    let ann = connect(&io).await;
    assert_eq!(start.elapsed().as_secs(), 1);
    // The acknowledgement waits for the room.
    ann.emit_with_ack::<()>("join", ()).await;
    assert_eq!(start.elapsed().as_secs(), 2);
    io.emit("news", 1);
    assert_eq!(ann.next::<u8>("news").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_waits_leaves_its_room() {
    let engine = Engine::classic(1);
    let io = server(&engine);
    engine.0.lock().unwrap().confirms = Some(Arc::default());
    let connecting = timeout(Duration::from_millis(500), connect(&io)).await;
    assert!(connecting.is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(engine.0.lock().unwrap().subscribed.len(), 3);
}
