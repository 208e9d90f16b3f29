//! Typed events: their arguments, their acknowledgements, and what is sent.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use axum_socketio::contract::{Binary, ClientEvent, SentIn, ServerEvent, Shape, contract};
use axum_socketio::emit::Typed;
use axum_socketio::extract::{DataRejection, On};
use axum_socketio::handler::{Handler, Late};
use axum_socketio::{Ack, Namespace, Reply, Socket, SocketIo};
use serde::{Deserialize, Serialize};

use super::{answers, with};
use crate::support::{Ws, serve};

#[derive(Deserialize)]
struct Say(String, Option<String>);

impl ClientEvent for Say {
    const NAME: &'static str = "say";
    const SHAPE: Shape = Shape::Several;
    type Ack = Receipt;
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Receipt {
    id: u64,
}

#[derive(Deserialize)]
struct Rename {
    name: String,
}

impl ClientEvent for Rename {
    const NAME: &'static str = "rename";
    type Ack = ();
}

#[derive(Deserialize)]
struct Ping;

impl ClientEvent for Ping {
    const NAME: &'static str = "ping!";
    const SHAPE: Shape = Shape::None;
    type Ack = (u8, String);
}

async fn say(
    _: HeaderMap,
    State(id): State<u64>,
    Say(room, text): Say,
    _: Socket,
) -> Result<Json<Receipt>, StatusCode> {
    match (&*room, text) {
        ("closed", _) => Err(StatusCode::FORBIDDEN),
        (_, text) => Ok(Json(Receipt {
            id: id + text.map_or(0, |text| text.len() as u64),
        })),
    }
}

fn table() -> Namespace {
    Namespace::new()
        .on_event(Say::EVENT, say.one_at_a_time())
        .on_event(Rename::EVENT, async |Rename { name }: Rename| {
            if name.is_empty() {
                Err("no name")
            } else {
                Ok(())
            }
        })
        .on_event(Ping::EVENT, async |_: Ping| Reply((7, "x".to_owned())))
        .with_state(40)
}

#[tokio::test]
async fn arguments_are_read_in_the_shape_of_the_event() {
    answers(
        table(),
        &[
            (r#"["say","a","bc"]"#, r#"[{"id":42}]"#),
            (r#"["say","a"]"#, r#"[{"id":40}]"#),
            (r#"["rename",{"name":"x"}]"#, "[]"),
            (r#"["ping!"]"#, r#"[7,"x"]"#),
        ],
    )
    .await;
}

#[tokio::test]
async fn arguments_of_another_shape_are_rejected() {
    answers(
        table().strict_arguments(),
        &[
            (
                r#"["say"]"#,
                r#"[{"error":"say: expected 2 arguments, got 0"}]"#,
            ),
            (
                r#"["say","a","b",3]"#,
                r#"[{"error":"say: expected 2 arguments, got 3"}]"#,
            ),
            (
                r#"["say",["a","b"]]"#,
                r#"[{"error":"say: invalid type: sequence, expected a string at argument 1"}]"#,
            ),
            (
                r#"["ping!",null]"#,
                r#"[{"error":"ping!: expected 0 arguments, got 1"}]"#,
            ),
            (
                r#"["rename"]"#,
                r#"[{"error":"rename: expected 1 argument, got 0"}]"#,
            ),
            (r#"["rename",{"name":""}]"#, r#"[{"error":"no name"}]"#),
            (r#"["say","closed"]"#, r#"[{"error":"Forbidden"}]"#),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_handler_may_answer_later_and_see_what_does_not_fit() {
    async fn later(event: On<Say>, ack: Ack<Receipt>) -> Late<Receipt> {
        let On(Say(room, _)) = event;
        let (ack, late) = ack.late();
        tokio::spawn(async move {
            ack.send(Receipt {
                id: room.len() as u64,
            });
        });
        late
    }
    async fn rename(event: Result<On<Rename>, DataRejection>) -> Json<bool> {
        Json(event.is_ok())
    }
    answers(
        Namespace::new()
            .on_event(Say::EVENT, later)
            .on(Rename::NAME, rename),
        &[
            (r#"["say","abc"]"#, r#"[{"id":3}]"#),
            (r#"["rename",7]"#, "[false]"),
            (r#"["rename",{"name":"x"}]"#, "[true]"),
        ],
    )
    .await;
}

/// An event that borrows and has several arguments.
#[derive(Serialize)]
struct Said<'a>(&'a str, u8);

impl ServerEvent for Said<'_> {
    const NAME: &'static str = "said";
    const SHAPE: Shape = Shape::Several;
    type Ack = ();
}

#[derive(Serialize)]
struct Picture(Binary);

impl ServerEvent for Picture {
    const NAME: &'static str = "picture";
    type Ack = (u8, u8);
}

#[derive(Serialize)]
struct Closing;

impl ServerEvent for Closing {
    const NAME: &'static str = "closing";
    const SHAPE: Shape = Shape::None;
    type Ack = ();
}

#[derive(Serialize)]
struct Reserved;

impl ServerEvent for Reserved {
    const NAME: &'static str = "connect";
    type Ack = ();
}

#[derive(Serialize)]
struct NotATuple {
    a: u8,
}

impl ServerEvent for NotATuple {
    const NAME: &'static str = "not a tuple";
    const SHAPE: Shape = Shape::Several;
    type Ack = ();
}

#[tokio::test]
async fn events_are_sent_in_their_shape() {
    let namespace = Namespace::new().on("go", async |socket: Socket| {
        socket.send_event(&Said("a", 1));
        socket.uncompressed().send_event(&Closing);
        assert!(!socket.send_event(&Reserved).ok());
        assert!(!socket.send_event(&NotATuple { a: 1 }).ok());
    });
    let (server, io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["go"]"#).await;
    assert_eq!(client.text().await, r#"42["said","a",1]"#);
    assert_eq!(client.text().await, r#"42["closing"]"#);
    io.of("/").send_event(&Said("b", 2));
    assert_eq!(client.text().await, r#"42["said","b",2]"#);
    let remote = io.fetch_sockets().await.unwrap().remove(0);
    remote.send_event(&Said("c", 3));
    assert_eq!(client.text().await, r#"42["said","c",3]"#);
}

#[tokio::test]
async fn acknowledgements_are_of_the_declared_type() {
    let (server, io) = with(Namespace::new()).await;
    let mut client = Ws::joined(server.addr).await;
    let remote = io.fetch_sockets().await.unwrap().remove(0);
    let answer = remote.send_event_with_ack(&Picture(Binary::from(vec![1, 2])));
    assert_eq!(
        client.text().await,
        r#"451-0["picture",{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(*client.binary().await, [1, 2]);
    client.send("430[7,8]").await;
    let answer: (u8, u8) = answer.await.unwrap();
    assert_eq!(answer, (7, 8));
    let socket = io.socket(remote.id()).unwrap();
    let answer = socket.send_event_with_ack(&Picture(Binary::default()));
    client.text().await;
    client.binary().await;
    client.send(r#"431["x"]"#).await;
    assert!(answer.await.is_err());
}

contract! {
    /// The events of the chat.
    Chat = "/chat";
    client: Say, Rename;
    server: Picture, Closing;
}

impl SentIn<Chat> for Said<'_> {}

contract! {
    /// The events of an order.
    Order = "/order-{id}";
    client: Rename;
    server: Closing;
}

async fn rename(socket: Typed<Chat>, Rename { name }: Rename) {
    socket.untyped().join(name.clone()).await.unwrap();
    socket.broadcast().to("x").send_event(&Said(&name, 0));
    socket.send_event(&Closing);
}

#[tokio::test]
async fn a_namespace_with_a_contract_sends_its_events() {
    let chat = Namespace::new().of::<Chat>();
    let chat = chat
        .on_event(Say::EVENT, say)
        .on_event(Rename::EVENT, rename)
        .with_state(1);
    let io = SocketIo::builder().contract(chat).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let (mut ann, mut bob) = (Ws::open(server.addr).await, Ws::open(server.addr).await);
    ann.join("/chat").await;
    bob.join("/chat").await;
    ann.send(r#"42/chat,["rename",{"name":"x"}]"#).await;
    assert_eq!(ann.text().await, r#"42/chat,["closing"]"#);
    bob.send(r#"42/chat,["rename",{"name":"x"}]"#).await;
    assert_eq!(bob.text().await, r#"42/chat,["closing"]"#);
    assert_eq!(ann.text().await, r#"42/chat,["said","x",0]"#);
    let typed = io.typed::<Chat>();
    typed.to("x").send_event(&Said("all", 1));
    assert_eq!(ann.text().await, r#"42/chat,["said","all",1]"#);
    assert_eq!(bob.text().await, r#"42/chat,["said","all",1]"#);
    for socket in typed.fetch_sockets().await.unwrap() {
        socket.send_event(&Said("each", 2));
    }
    assert_eq!(ann.text().await, r#"42/chat,["said","each",2]"#);
}

#[tokio::test]
async fn a_contract_of_a_pattern_holds_for_each_of_its_namespaces() {
    let order = Namespace::new().of::<Order>().on_event(
        Rename::EVENT,
        async |socket: Typed<Order>, _: Rename| {
            socket.send_event(&Closing);
        },
    );
    let io = SocketIo::builder().contract(order).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::open(server.addr).await;
    client.join("/order-7").await;
    client.send(r#"42/order-7,["rename",{"name":"x"}]"#).await;
    assert_eq!(client.text().await, r#"42/order-7,["closing"]"#);
    io.typed_at::<Order>("/order-8").send_event(&Closing);
    io.typed_at::<Order>("/order-7").send_event(&Closing);
    assert_eq!(client.text().await, r#"42/order-7,["closing"]"#);
}

#[tokio::test]
async fn a_typed_socket_is_refused_in_a_namespace_without_the_contract() {
    let (server, io) = with(Namespace::new().on_event(Rename::EVENT, rename)).await;
    let mut client = Ws::joined(server.addr).await;
    let answer = client.ask(r#"["rename",{"name":"x"}]"#).await;
    // The client does not see the names of types.
    assert_eq!(answer, r#"[{"error":"internal error"}]"#);
    assert_eq!(io.metrics().events_received, 1);
}
