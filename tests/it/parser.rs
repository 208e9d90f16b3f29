//! Other parsers: a server supports all its features with each of them.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use axum::{Json, Router};
use axum_socketio::config::{Recovery, Transport};
use axum_socketio::extract::Binary;
use axum_socketio::parser::{
    DecodeError, Decoder, Kind, Message, Msgpack, PacketLimits, Parser, Parts,
};
use axum_socketio::testing::{ConnectError, Disconnected, TestApp};
use axum_socketio::{Auth, Data, DisconnectReason, Namespace, Refused, Socket, SocketIo};
use bytes::Bytes;
use serde_json::{Value, json};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Polling];
const KINDS: [Kind; 5] = [
    Kind::Connect,
    Kind::Disconnect,
    Kind::Event,
    Kind::Ack,
    Kind::ConnectError,
];

/// A parser that writes a packet as several messages of both kinds: its kind and id as bytes, its namespace as text,
/// its payload as text, and each attachment. An empty text ends the packet.
#[derive(Debug)]
struct Pieces;

impl Parser for Pieces {
    fn encode(&self, packet: &Parts<'_>) -> Vec<Message> {
        let kind = KINDS.iter().position(|&kind| kind == packet.kind).unwrap();
        let mut head = vec![u8::try_from(kind).unwrap()];
        head.extend(packet.id.iter().flat_map(|id| id.to_be_bytes()));
        let mut messages = vec![
            Message::Binary(head.into()),
            Message::Text((*packet.nsp).into()),
        ];
        let json = packet.json.as_deref().unwrap_or("none");
        messages.push(Message::Text(json.into()));
        messages.extend(packet.attachments.iter().cloned().map(Message::Binary));
        messages.push(Message::Text("".into()));
        messages
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::<Collected>::default()
    }
}

#[derive(Debug, Default)]
struct Collected(Vec<Message>);

impl Decoder for Collected {
    fn feed(
        &mut self,
        message: Message,
        limits: &PacketLimits,
    ) -> Result<Option<Parts<'static>>, DecodeError> {
        if message != Message::Text("".into()) {
            self.0.push(message);
            let most = limits.max_attachments.saturating_add(3);
            return match self.0.len() {
                len if len > most => Err(DecodeError::TooManyAttachments(limits.max_attachments)),
                _ => Ok(None),
            };
        }
        let mut messages = std::mem::take(&mut self.0).into_iter();
        let three = (messages.next(), messages.next(), messages.next());
        let (Some(Message::Binary(head)), Some(Message::Text(nsp)), Some(Message::Text(json))) =
            three
        else {
            return Err(DecodeError::Malformed("out of order".to_owned()));
        };
        let attachments = messages.map(|message| match message {
            Message::Binary(data) => Ok(data),
            Message::Text(_) => Err(DecodeError::TextInsteadOfAttachment),
        });
        Ok(Some(Parts {
            kind: KINDS[usize::from(head[0])],
            nsp: (*nsp).to_owned().into(),
            id: head[1..].try_into().ok().map(u64::from_be_bytes),
            json: (*json != *"none").then(|| Cow::Owned((*json).to_owned())),
            attachments: attachments.collect::<Result<Vec<_>, _>>()?.into(),
        }))
    }
}

async fn authenticate(Auth(auth): Auth<Value>) -> Result<(), Refused> {
    if auth["token"] == "sesame" {
        return Ok(());
    }
    Err(Refused::new("not authorized").data(json!({ "got": auth })))
}

fn root() -> Namespace {
    Namespace::new()
        .on("add", async |Data((a, b)): Data<(u32, u32)>| Json(a + b))
        .on(
            "turn",
            async |Data((name, data)): Data<(String, Binary)>| {
                let turned: Vec<u8> = data.iter().rev().copied().collect();
                axum_socketio::Reply((name, Binary::from(turned)))
            },
        )
        .on("join", async |socket: Socket, Data(room): Data<String>| {
            socket.join(room);
        })
        .on("shout", async |socket: Socket, Data(data): Data<Binary>| {
            socket.to("all").emit("heard", ("x", &data));
        })
        .on("ask", async |socket: Socket| {
            Json(socket.emit_with_ack::<Value>("question", 7).await.ok())
        })
}

/// Starts two equal servers with a parser each.
fn apps() -> [(TestApp, SocketIo); 2] {
    fn serve(parser: impl Parser, of_clients: impl Parser) -> (TestApp, SocketIo) {
        let admin = Namespace::new().middleware(authenticate);
        let io = SocketIo::builder()
            .parser(parser)
            .recovery(Recovery::new())
            .namespace("/", root())
            .namespace("/admin", admin)
            .build();
        let app = TestApp::new(Router::new().layer(io.layer())).parser(of_clients);
        (app, io)
    }
    [serve(Msgpack, Msgpack), serve(Pieces, Pieces)]
}

#[tokio::test(start_paused = true)]
async fn events_and_acknowledgements_go_both_ways_with_binary_in_them() {
    for (app, _io) in apps() {
        for transport in BOTH {
            let client = app.connect("/").transport(transport).await.unwrap();
            assert_eq!(client.emit_with_ack::<u32>("add", (1, 2)).await, 3);
            let data = Binary::from(vec![1, 2, 3]);
            let (name, turned): (String, Bytes) = client.emit_with_ack("turn", ("n", &data)).await;
            assert_eq!((name.as_str(), &turned[..]), ("n", &[3, 2, 1][..]));
            let error: Value = client.emit_with_ack("add", 1).await;
            assert_eq!(error, json!({"error": "add: expected 2 arguments, got 1"}));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_clients_over_both_transports() {
    for (app, _io) in apps() {
        let speaker = app.connect("/").await.unwrap();
        let mut hearers = Vec::new();
        for transport in BOTH {
            let hearer = app.connect("/").transport(transport).await.unwrap();
            hearer.emit("join", "all").await;
            hearers.push(hearer);
        }
        speaker.emit("shout", Binary::from(vec![7; 300])).await;
        for hearer in &hearers {
            let (word, data): (String, Bytes) = hearer.next("heard").await;
            assert_eq!((word.as_str(), &data[..]), ("x", &[7; 300][..]));
        }
        speaker.expect_no("heard").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_auth_and_refuses_with_data() {
    for (app, _io) in apps() {
        let root = app.connect("/").await.unwrap();
        let admin = root
            .connect("/admin")
            .auth(json!({"token": "sesame"}))
            .await;
        assert!(admin.is_ok());
        let refused = app.connect("/admin").auth(json!({"token": "x"})).await;
        let Err(ConnectError::Refused { message, data }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(message, "not authorized");
        assert_eq!(data, Some(json!({"got": {"token": "x"}})));
        let unknown = app.connect("/nope").await;
        assert!(matches!(unknown, Err(ConnectError::Refused { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_gets_what_it_has_missed() {
    for (app, io) in apps() {
        for transport in BOTH {
            let client = app.connect("/").transport(transport).await.unwrap();
            io.emit("news", (1, Binary::from(vec![1])));
            client.next::<(u8, Bytes)>("news").await;
            client.cut().await;
            io.emit("news", (2, Binary::from(vec![2])));
            let again = app.connect("/").coming_back_as(&client).await.unwrap();
            assert!(again.recovered());
            let (number, data): (u8, Bytes) = again.next("news").await;
            assert_eq!((number, &data[..]), (2, &[2][..]));
            again.expect_no("news").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_sees_what_is_emitted() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let all = Arc::clone(&seen);
    let namespace = root().on_any_outgoing(move |outgoing| {
        all.lock()
            .unwrap()
            .push(format!("{} {}", outgoing.event, outgoing.json));
    });
    let io = SocketIo::builder()
        .parser(Msgpack)
        .namespace("/", namespace)
        .build();
    let app = TestApp::new(Router::new().layer(io.layer())).parser(Msgpack);
    let client = app.connect("/").await.unwrap();
    io.emit("news", (1, Binary::from(vec![1])));
    client.next::<(u8, Bytes)>("news").await;
    assert_eq!(
        *seen.lock().unwrap(),
        [r#"news ["news",1,{"_placeholder":true,"num":0}]"#]
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_with_another_parser_is_disconnected() {
    let (reasons, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let namespace = Namespace::new().on_disconnect(async move |reason: DisconnectReason| {
        let _ = reasons.send(reason);
    });
    let io = SocketIo::builder()
        .parser(Msgpack)
        .namespace("/", namespace)
        .build();
    let service = Router::new().layer(io.layer());
    for transport in BOTH {
        let app = TestApp::new(service.clone());
        let refused = app.connect("/").transport(transport).await;
        assert!(
            matches!(
                refused,
                Err(ConnectError::Closed(
                    Disconnected::TransportClose | Disconnected::TransportError
                ))
            ),
            "{refused:?}"
        );
    }
    assert!(ended.try_recv().is_err(), "none of them was ever connected");
}

#[derive(Debug)]
struct Panics;

impl Parser for Panics {
    fn encode(&self, _: &Parts<'_>) -> Vec<Message> {
        Vec::new()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Self)
    }
}

impl Decoder for Panics {
    fn feed(
        &mut self,
        _: Message,
        _: &PacketLimits,
    ) -> Result<Option<Parts<'static>>, DecodeError> {
        panic!("on purpose")
    }
}

#[tokio::test(start_paused = true)]
async fn a_parser_that_panics_ends_the_connection_alone() {
    let io = SocketIo::builder()
        .parser(Panics)
        .namespace("/", Namespace::new())
        .build();
    let app = TestApp::new(Router::new().layer(io.layer())).parser(Msgpack);
    assert!(app.connect("/").await.is_err());
    while io.metrics().connections.values().any(|count| *count > 0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(io.metrics().connections_closed["forced close"], 1);
    assert_eq!(io.metrics().hook_panics["parser"], 1);
}

/// A parser that panics when it writes an acknowledgement.
#[derive(Debug)]
struct PanicsOnAck;

impl Parser for PanicsOnAck {
    fn encode(&self, packet: &Parts<'_>) -> Vec<Message> {
        assert_ne!(packet.kind, Kind::Ack, "on purpose");
        Msgpack.encode(packet)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Msgpack.decoder()
    }
}

#[tokio::test(start_paused = true)]
async fn a_parser_that_panics_when_it_writes_ends_the_connection() {
    let (sender, mut reasons) = tokio::sync::mpsc::unbounded_channel();
    let namespace = Namespace::new().on("x", async || {}).on_disconnect(
        async move |reason: axum_socketio::DisconnectReason| {
            let _ = sender.send(reason.as_str());
        },
    );
    let io = SocketIo::builder()
        .parser(PanicsOnAck)
        .namespace("/", namespace)
        .build();
    let app = TestApp::new(Router::new().layer(io.layer())).parser(Msgpack);
    let client = app.connect("/").await.unwrap();
    // The client panics, because it gets no answer.
    let asked = tokio::spawn(async move { client.emit_with_ack::<()>("x", ()).await });
    asked.await.unwrap_err();
    assert_eq!(reasons.recv().await, Some("forced close"));
    assert_eq!(io.metrics().hook_panics["connection"], 1);
    // Other clients are not affected.
    app.connect("/").await.unwrap();
}

/// A parser that writes no messages for some events.
#[derive(Debug)]
struct Quiet;

impl Parser for Quiet {
    fn encode(&self, packet: &Parts<'_>) -> Vec<Message> {
        let json = packet.json.as_deref().unwrap_or_default();
        if json.contains("secret") {
            return Vec::new();
        }
        Pieces.encode(packet)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Pieces.decoder()
    }
}

#[tokio::test(start_paused = true)]
async fn a_parser_that_writes_nothing_sends_nothing() {
    for recovery in [None, Some(Recovery::new())] {
        for transport in BOTH {
            let namespace = Namespace::new().recovery(recovery).on(
                "go",
                async |socket: Socket, io: SocketIo| {
                    let before = socket.queued();
                    assert!(socket.emit("secret", 1).ok());
                    assert!(io.emit("secret", 2).ok());
                    socket.emit_when_writable("secret", 3).await.unwrap();
                    assert_eq!(socket.queued(), before);
                    socket.emit("open", ());
                },
            );
            let io = SocketIo::builder()
                .parser(Quiet)
                .namespace("/", namespace)
                .build();
            let app = TestApp::new(Router::new().layer(io.layer())).parser(Quiet);
            let connect = app.connect("/").transport(transport);
            let client = connect.await.unwrap();
            client.emit("go", ()).await;
            client.next::<()>("open").await;
        }
    }
}
