//! Results and errors as acknowledgements.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, NoContent, Response};
use axum::routing::post;
use axum::{Json, Router};
use axum_socketio::config::{AckFormat, Unhandled};
use axum_socketio::emit::{AckError, EmitError};
use axum_socketio::handler::Handler;
use axum_socketio::{Ack, Data, Namespace, Reply, Socket, SocketIo};
use bytes::Bytes;
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{answers, with};
use crate::support::{Http, Ws, serve};

struct Teapot;

impl IntoResponse for Teapot {
    fn into_response(self) -> Response {
        (
            StatusCode::IM_A_TEAPOT,
            Json(json!({ "error": "teapot", "code": 418 })),
        )
            .into_response()
    }
}

fn every_result() -> Namespace {
    Namespace::new()
        .on("unit", async || {})
        .on("json", async || Json(json!([1, 2])))
        .on("reply", async || Reply((1, "two")))
        .on("status", async || (StatusCode::CREATED, Json(1)))
        .on("missing", async || (StatusCode::NOT_FOUND, Json("gone")))
        .on("nothing", async || (StatusCode::NOT_FOUND, ()))
        .on("response", async || "text".into_response())
        .on("string", async || "text".to_owned())
        .on("str", async || "text")
        .on("bytes", async || Bytes::from_static(b"x"))
        .on("created", async || StatusCode::CREATED)
        .on("gone", async || StatusCode::GONE)
        .on("no content", async || NoContent)
        .on("some", async || Some(Json((1, 2))))
        .on("none", async || None::<Json<u8>>)
        .on("status or error", async || {
            Err::<StatusCode, _>((StatusCode::CONFLICT, "taken"))
        })
        .on("ok", async || Ok::<_, Teapot>(Json(true)))
        .on("err", async || Err::<Json<bool>, _>(Teapot))
        .on("text", async || {
            Err::<(), _>((StatusCode::BAD_REQUEST, "no way"))
        })
        .on("bare", async || Err::<(), _>(StatusCode::NOT_FOUND))
        .on("panic", async || {
            if true {
                panic!("on purpose")
            }
        })
        .on("typed", async |Data(_): Data<u8>| {})
}

#[tokio::test]
async fn every_result_is_an_acknowledgement() {
    answers(
        every_result(),
        &[
            (r#"["unit"]"#, "[]"),
            (r#"["json"]"#, "[[1,2]]"),
            (r#"["reply"]"#, r#"[1,"two"]"#),
            (r#"["status"]"#, "[1]"),
            (r#"["missing"]"#, r#"["gone"]"#),
            (r#"["nothing"]"#, r#"[{"error":"Not Found"}]"#),
            (r#"["response"]"#, r#"["text"]"#),
            (r#"["string"]"#, r#"["text"]"#),
            (r#"["str"]"#, r#"["text"]"#),
            (r#"["created"]"#, "[]"),
            (r#"["gone"]"#, r#"[{"error":"Gone"}]"#),
            (r#"["no content"]"#, "[]"),
            (r#"["some"]"#, "[[1,2]]"),
            (r#"["none"]"#, "[null]"),
            (r#"["status or error"]"#, r#"[{"error":"taken"}]"#),
            (r#"["ok"]"#, "[true]"),
            (r#"["err"]"#, r#"[{"code":418,"error":"teapot"}]"#),
            (r#"["text"]"#, r#"[{"error":"no way"}]"#),
            (r#"["bare"]"#, r#"[{"error":"Not Found"}]"#),
            (r#"["panic"]"#, r#"[{"error":"internal error"}]"#),
            (
                r#"["nobody"]"#,
                r#"[{"error":"no handler for \"nobody\""}]"#,
            ),
            (r#"["unit"]"#, "[]"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_failed_emit_is_an_error_and_sends_nothing() {
    struct Broken;

    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("on purpose"))
        }
    }

    let namespace = Namespace::new().on("try", async |socket: Socket| {
        let reserved = socket.emit("disconnect", ()).into_result();
        assert!(matches!(reserved, Err(EmitError::Reserved(name)) if name == "disconnect"));
        let reserved = socket.broadcast().emit("connect", ()).into_result();
        assert!(matches!(reserved, Err(EmitError::Reserved(name)) if name == "connect"));
        let broken = socket.emit("e", Broken).into_result();
        assert!(matches!(broken, Err(EmitError::Serialize(_))));
        let asked = socket.emit_with_ack::<()>("e", Broken).await;
        assert!(matches!(
            asked,
            Err(AckError::Emit(EmitError::Serialize(_)))
        ));
        let (_, asked) = socket
            .broadcast()
            .emit_with_ack::<()>("connect", ())
            .all()
            .await;
        assert_eq!(asked.asked, 0);
        Json("as said")
    });
    let (server, _io) = with(namespace.on("broken", async || Json(Broken))).await;
    let mut client = Ws::joined(server.addr).await;
    let mut other = Ws::joined(server.addr).await;
    assert_eq!(client.ask(r#"["try"]"#).await, r#"["as said"]"#);
    assert_eq!(other.ask(r#"["try"]"#).await, r#"["as said"]"#);
    let answer = client.ask(r#"["broken"]"#).await;
    assert_eq!(answer, r#"[{"error":"internal error"}]"#);
}

#[tokio::test]
async fn the_format_of_acknowledgements_can_be_chosen() {
    for (format, ok, err) in [
        (
            AckFormat::Tagged,
            r#"[{"data":[1,2]}]"#,
            r#"[{"error":"no way"}]"#,
        ),
        (
            AckFormat::ErrorFirst,
            "[null,[1,2]]",
            r#"[{"error":"no way"}]"#,
        ),
    ] {
        let io = SocketIo::builder()
            .namespace("/", every_result())
            .ack_format(format)
            .build();
        let server = serve(Router::new().layer(io.layer())).await;
        let mut client = Ws::joined(server.addr).await;
        assert_eq!(client.ask(r#"["json"]"#).await, ok);
        assert_eq!(client.ask(r#"["text"]"#).await, err);
        let missing = client.ask(r#"["missing"]"#).await;
        assert_eq!(
            missing == r#"["gone"]"#,
            format == AckFormat::ErrorFirst,
            "the status says it is an error: {missing}"
        );
    }
}

#[tokio::test]
async fn unhandled_events_can_be_met_with_silence_as_in_node() {
    let (server, _io) = with(
        Namespace::new()
            .unhandled(Unhandled::Silent)
            .on("here", async || {}),
    )
    .await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"421["nobody"]"#).await;
    assert_eq!(
        client.ask(r#"["here"]"#).await,
        "[]",
        "the first that is heard"
    );
}

#[tokio::test]
async fn rejections_are_seen_by_the_hook() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&seen);
    let namespace = every_result().on_rejection(move |rejected| {
        hook.lock().unwrap().push((
            rejected.event.to_owned(),
            rejected.status,
            rejected.message.to_owned(),
        ));
    });
    answers(
        namespace,
        &[(
            r#"["typed",300]"#,
            r#"[{"error":"typed: invalid value: integer `300`, expected u8 at argument 1"}]"#,
        )],
    )
    .await;
    let seen = seen.lock().unwrap();
    let (event, status, message) = &seen[0];
    assert_eq!(
        (event.as_str(), *status),
        ("typed", StatusCode::UNPROCESSABLE_ENTITY)
    );
    assert!(message.contains("expected u8"), "{message}");
}

#[tokio::test]
async fn an_event_that_does_not_fit_an_observer_is_not_rejected() {
    let hook = Arc::new(Mutex::new(0));
    let (rejections, seen) = (Arc::clone(&hook), Arc::new(Mutex::new(0)));
    let observed = Arc::clone(&seen);
    let namespace = Namespace::new()
        .on_rejection(move |_| *rejections.lock().unwrap() += 1)
        .on_any(move |Data(_): Data<String>| {
            *observed.lock().unwrap() += 1;
            async {}
        })
        .on_connect(async |socket: Socket| socket.on_any(async |_: Data<String>| {}))
        .on("number", async |Data(_): Data<u8>| {});
    let (server, io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(client.ask(r#"["number",1]"#).await, "[]");
    assert_eq!(
        (io.metrics().events_rejected, *hook.lock().unwrap()),
        (0, 0)
    );
    let answer = client.ask(r#"["number","x"]"#).await;
    assert!(answer.contains("expected u8"), "{answer}");
    assert_eq!(
        (io.metrics().events_rejected, *hook.lock().unwrap()),
        (1, 1)
    );
    assert_eq!(*seen.lock().unwrap(), 1);
    // The client has violated the protocol, whoever reads the arguments.
    client.send(r#"421["number",}]"#).await;
    client.ended().await;
}

#[tokio::test]
async fn one_function_serves_a_route_and_an_event() {
    type Todos = Arc<Mutex<Vec<Value>>>;

    async fn create(
        State(todos): State<Todos>,
        Json(new): Json<Value>,
    ) -> Result<(StatusCode, Json<usize>), Teapot> {
        let mut todos = todos.lock().unwrap();
        if new.get("text").is_none() {
            return Err(Teapot);
        }
        todos.push(new);
        Ok((StatusCode::CREATED, Json(todos.len())))
    }

    let todos = Todos::default();
    let namespace = Namespace::new().on("todo:create", create);
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .with_state(Arc::clone(&todos))
        .build();
    let app = Router::new()
        .route("/todos", post(create))
        .layer(io.layer())
        .with_state(todos);
    let server = serve(app).await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(client.ask(r#"["todo:create",{"text":"a"}]"#).await, "[1]");
    assert_eq!(
        client.ask(r#"["todo:create",{}]"#).await,
        r#"[{"code":418,"error":"teapot"}]"#
    );
    let mut http = Http::open(server.addr).await;
    let json = [("content-type", "application/json")];
    let answer = http.ask("POST", "/todos", &json, br#"{"text":"b"}"#).await;
    assert_eq!(answer.brief(), (201, "2"));
}

#[tokio::test]
async fn one_function_takes_the_socket_if_there_is_one() {
    struct Sender(Option<Socket>);

    impl<S: Send + Sync> FromRequestParts<S> for Sender {
        type Rejection = Infallible;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
            Option::from_request_parts(parts, state).await.map(Self)
        }
    }

    async fn say(socket: Option<Socket>, Sender(sender): Sender) -> Result<String, StatusCode> {
        let ids = [socket, sender].map(|socket| socket.map(|socket| socket.id()));
        match ids {
            [Some(one), Some(two)] if one == two => Ok("event".to_owned()),
            [None, None] => Ok("request".to_owned()),
            _ => Err(StatusCode::CONFLICT),
        }
    }

    let namespace = Namespace::new()
        .middleware(async |socket: Option<Socket>| socket.is_some())
        .on("say", say)
        .on("layered", say.layer(tower::layer::util::Identity::new()));
    let io = SocketIo::builder().namespace("/", namespace).build();
    let app = Router::new().route("/say", post(say)).layer(io.layer());
    let server = serve(app).await;
    let mut client = Ws::joined(server.addr).await;
    for _ in 0..2 {
        assert_eq!(client.ask(r#"["say"]"#).await, r#"["event"]"#);
        assert_eq!(client.ask(r#"["layered"]"#).await, r#"["event"]"#);
    }
    let mut http = Http::open(server.addr).await;
    let answer = http.ask("POST", "/say", &[], b"").await;
    assert_eq!(answer.brief(), (200, "request"));
}

#[tokio::test]
async fn bytes_are_returned_as_an_attachment() {
    let (server, _io) = with(every_result()).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"421["bytes"]"#).await;
    let answer = client.text().await;
    assert_eq!(answer, r#"461-1[{"_placeholder":true,"num":0}]"#);
    assert_eq!(client.binary().await, "x");
}

#[tokio::test]
async fn an_event_is_answered_once() {
    let namespace = Namespace::new()
        .on("sent, then failed", async |ack: Ack<u8>| {
            ack.send(1);
            Err::<(), _>(Teapot)
        })
        .on("sent, then panicked", async |ack: Ack<u8>| {
            ack.send(2);
            if true {
                panic!("on purpose")
            }
        })
        .on("failed unsent", async |_ack: Ack<u8>| Err::<(), _>(Teapot))
        .on("panicked unsent", async |_ack: Ack<u8>| {
            if true {
                panic!("on purpose")
            }
        })
        .on("sent later", async |ack: Ack<u8>| {
            tokio::spawn(async move { ack.send(3) });
        })
        .on("failed, then sent later", async |ack: Ack<u8>| {
            tokio::spawn(async move { ack.send(4) });
            Err::<(), _>(Teapot)
        })
        .on("end", async || {});
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    let teapot = r#"[{"code":418,"error":"teapot"}]"#;
    for (event, answer) in [
        ("sent, then failed", "[1]"),
        ("sent, then panicked", "[2]"),
        ("failed unsent", teapot),
        ("panicked unsent", r#"[{"error":"internal error"}]"#),
        ("sent later", "[3]"),
        ("end", "[]"),
    ] {
        assert_eq!(client.ask(&format!("[{event:?}]")).await, answer, "{event}");
    }
    // The order of the two is not defined, but only one of them is sent.
    let answer = client.ask(r#"["failed, then sent later"]"#).await;
    assert!(answer == "[4]" || answer == teapot, "{answer}");
    assert_eq!(client.ask(r#"["end"]"#).await, "[]");
}

#[tokio::test]
async fn a_handler_may_pass_on_why_its_client_did_not_answer() {
    async fn confirm(socket: Socket) -> Result<Json<bool>, AckError> {
        let wait = Duration::from_millis(1);
        Ok(Json(socket.timeout(wait).emit_with_ack("sure", ()).await?))
    }

    async fn reserved(socket: Socket) -> Result<(), EmitError> {
        socket.emit("disconnect", ()).into_result()
    }

    let namespace = Namespace::new()
        .on("confirm", confirm)
        .on("reserved", reserved);
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"421["confirm"]"#).await;
    assert_eq!(client.text().await, r#"420["sure"]"#);
    assert_eq!(
        client.text().await,
        r#"431[{"error":"operation has timed out"}]"#
    );
    assert_eq!(
        client.ask(r#"["reserved"]"#).await,
        r#"[{"error":"event name \"disconnect\" is reserved"}]"#
    );
}

#[tokio::test]
async fn a_failed_query_of_sockets_is_an_error_of_the_handler() {
    let gone = SocketIo::handle();
    let namespace = Namespace::new()
        .on("count", async |io: SocketIo| {
            io.of("/").count().await.map(Json)
        })
        .on("gone", async move || gone.of("/").count().await.map(Json));
    let expected = [
        (r#"["count"]"#, "[1]"),
        (r#"["gone"]"#, r#"[{"error":"this handle has no server"}]"#),
    ];
    answers(namespace, &expected).await;
}

#[tokio::test]
async fn two_events_with_one_id_are_answered_each() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let namespace = Namespace::new()
        .on("late", move |ack: Ack<&'static str>| async move {
            gate.acquire().await.unwrap().forget();
            ack.send("late");
        })
        .on("now", async || Json("now"))
        .on("fail", async |_ack: Ack<()>| {
            Err::<(), _>((StatusCode::BAD_REQUEST, "no way"))
        });
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[r#"421["late"]"#, r#"421["now"]"#, r#"421["fail"]"#])
        .await;
    assert_eq!(client.text().await, r#"431["now"]"#);
    assert_eq!(client.text().await, r#"431[{"error":"no way"}]"#);
    go.add_permits(1);
    assert_eq!(client.text().await, r#"431["late"]"#);
}
