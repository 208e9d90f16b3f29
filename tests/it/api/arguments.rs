//! Handlers with every kind of argument.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json, Router};
use axum_extra::TypedHeader;
use axum_extra::extract::CookieJar;
use axum_extra::headers::Host;
use axum_socketio::extract::RawArgs;
use axum_socketio::extract::{DataRejection, EventContext, FromEvent, Rest};
use axum_socketio::{Ack, Auth, Data, Event, Namespace, Reply, Socket, SocketIo};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use super::{answers, with};
use crate::support::Ws;

#[derive(Clone, FromRef)]
struct AppState {
    name: String,
    number: u64,
}

#[derive(Deserialize)]
struct Transport {
    transport: String,
}

/// An extractor of the application, from the request.
struct Agent(String);

impl<S: Sync> FromRequestParts<S> for Agent {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let agent = parts
            .headers
            .get("user-agent")
            .ok_or(StatusCode::BAD_REQUEST)?;
        Ok(Self(agent.to_str().unwrap_or_default().to_owned()))
    }
}

/// An extractor of the application, from the event.
struct Length(usize);

impl<S: Sync> FromEvent<S> for Length {
    type Rejection = DataRejection;

    async fn from_event(cx: &mut EventContext, state: &S) -> Result<Self, DataRejection> {
        let args = RawArgs::from_event(cx, state).await?;
        Ok(Self(args.json().len()))
    }
}

#[tokio::test]
async fn axums_own_extractors_see_the_handshake() {
    let namespace = Namespace::new()
        .on(
            "state",
            async |State(name): State<String>, State(number): State<u64>| Json((name, number)),
        )
        .on("query", async |Query(query): Query<Transport>| {
            Json(query.transport)
        })
        .on("headers", async |headers: HeaderMap| {
            Json(headers.contains_key("sec-websocket-key"))
        })
        .on(
            "peer",
            async |ConnectInfo(peer): ConnectInfo<SocketAddr>| Json(peer.ip().to_string()),
        )
        .on("host", async |TypedHeader(host): TypedHeader<Host>| {
            Json(host.hostname().to_owned())
        })
        .on("cookies", async |jar: CookieJar| Json(jar.iter().count()))
        .on("session", async |session: Session| {
            Json(session.id().is_none())
        })
        .on("io", async |io: SocketIo| Json(io.client_count()))
        .on("agent", async |Agent(agent): Agent| Json(agent));
    let state = AppState {
        name: "ann".to_owned(),
        number: 7,
    };
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .with_state(state)
        .build();
    let app = Router::new()
        .layer(io.layer())
        .layer(SessionManagerLayer::new(MemoryStore::default()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, app).await.unwrap();
    });
    let mut client = Ws::joined(addr).await;
    for (event, answer) in [
        (r#"["state"]"#, r#"[["ann",7]]"#),
        (r#"["query"]"#, r#"["websocket"]"#),
        (r#"["headers"]"#, "[true]"),
        (r#"["peer"]"#, r#"["127.0.0.1"]"#),
        (r#"["host"]"#, r#"["127.0.0.1"]"#),
        (r#"["cookies"]"#, "[0]"),
        (r#"["session"]"#, "[true]"),
        (r#"["io"]"#, "[1]"),
        (r#"["agent"]"#, r#"[{"error":"Bad Request"}]"#),
    ] {
        let got = client.ask(event).await;
        let host_differs = event.contains("host") && got.starts_with(r#"[""#);
        assert!(got == answer || host_differs, "{event} got {got}");
    }
}

#[tokio::test]
async fn data_is_the_list_of_arguments_or_the_only_one() {
    let namespace = Namespace::new()
        .on("one", async |Data(text): Data<String>| Json(text))
        .on("two", async |Data((a, b)): Data<(i32, i32)>| Json(a + b))
        .on("maybe", async |Data((a, b)): Data<(i32, Option<i32>)>| {
            Json(b.unwrap_or(a))
        })
        .on(
            "rest",
            async |Data((_, Rest(rest))): Data<(i32, Rest<i32>)>| Json(rest.len()),
        )
        .on("list", async |Data(list): Data<Vec<i32>>| Json(list.len()))
        .on("json", async |Json(value): Json<Value>| Json(value))
        .on("raw", async |args: RawArgs| Json(args.json().to_owned()))
        .on("name", async |Event(name): Event| Json(name))
        .on("length", async |Length(length): Length| Json(length))
        .on("fits", async |data: Option<Data<i32>>| Json(data.is_some()))
        .on("why", async |data: Result<Data<i32>, DataRejection>| {
            Json(data.is_err())
        });
    answers(
        namespace,
        &[
            (r#"["one","x"]"#, r#"["x"]"#),
            (
                r#"["one",1]"#,
                r#"[{"error":"one: invalid type: integer `1`, expected a string at argument 1"}]"#,
            ),
            (r#"["two",1,2]"#, "[3]"),
            (
                r#"["two",1]"#,
                r#"[{"error":"two: expected 2 arguments, got 1"}]"#,
            ),
            (r#"["maybe",1]"#, "[1]"),
            (r#"["maybe",1,2]"#, "[2]"),
            (r#"["rest",1,2,3]"#, "[2]"),
            (r#"["list",[1,2,3]]"#, "[3]"),
            (r#"["json",{"b":1}]"#, r#"[{"b":1}]"#),
            (r#"["raw",1]"#, r#"["[1]"]"#),
            (r#"["name"]"#, r#"["name"]"#),
            (r#"["length"]"#, "[2]"),
            (r#"["fits","no"]"#, "[false]"),
            (r#"["why","no"]"#, "[true]"),
        ],
    )
    .await;
}

#[derive(Deserialize)]
struct Photo {
    name: String,
    bytes: Bytes,
}

#[tokio::test]
async fn binary_travels_inside_of_structures() {
    let namespace = Namespace::new().on("photo", async |Data(photo): Data<Photo>| {
        Reply((photo.name, photo.bytes.slice(1..)))
    });
    let (server, _io) = super::with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send(r#"451-7["photo",{"name":"x","bytes":{"_placeholder":true,"num":0}}]"#)
        .await;
    client.send_binary(&[1, 2, 3]).await;
    assert_eq!(
        client.text().await,
        r#"461-7["x",{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(&client.binary().await[..], [2, 3]);
}

#[tokio::test]
async fn extensions_of_an_extractor_end_with_their_event() {
    struct Twice(bool, bool);

    impl<S: Sync> FromRequestParts<S> for Twice {
        type Rejection = StatusCode;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
            let before = parts.extensions.insert(7_u8).is_some();
            Ok(Self(before, parts.extensions.get::<u8>().is_some()))
        }
    }

    let namespace = Namespace::new().on("see", async |Twice(before, after): Twice| {
        Json((before, after))
    });
    answers(
        namespace,
        &[
            (r#"["see"]"#, "[[false,true]]"),
            (r#"["see"]"#, "[[false,true]]"),
        ],
    )
    .await;
}

#[tokio::test]
async fn removed_extensions_are_restored_for_the_next_event() {
    struct Taken(bool);

    impl<S: Sync> FromRequestParts<S> for Taken {
        type Rejection = StatusCode;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
            Ok(Self(parts.headers.remove("host").is_some()))
        }
    }

    let namespace = Namespace::new().on("see", async |Taken(host): Taken| Json(host));
    answers(
        namespace,
        &[(r#"["see"]"#, "[true]"), (r#"["see"]"#, "[true]")],
    )
    .await;
}

#[tokio::test]
async fn an_acknowledgement_that_was_taken_over_is_sent_once() {
    let namespace = Namespace::new()
        .on("early", async |ack: Ack<(u8, u8)>| {
            ack.send((1, 2));
            tokio::task::yield_now().await;
        })
        .on("error", async |ack: Ack<()>| ack.error("no"));
    answers(
        namespace,
        &[
            (r#"["early"]"#, "[1,2]"),
            (r#"["error"]"#, r#"[{"error":"no"}]"#),
        ],
    )
    .await;
}

#[tokio::test]
async fn auth_of_a_type_that_no_object_fits_is_explained() {
    async fn wrong<T: DeserializeOwned + Send + 'static>(found: &str) {
        let namespace = Namespace::new().middleware(async |_: Auth<T>| {});
        let (server, _io) = super::with(namespace).await;
        for auth in ["", "{}", r#"{"token":"x"}"#] {
            let mut client = Ws::open(server.addr).await;
            client.send(&format!("40{auth}")).await;
            let refused = client.text().await;
            let expected = format!(
                "auth: invalid type: map, expected {found}; auth is always an object: extract a struct"
            );
            assert!(refused.contains(&expected), "{refused}");
        }
    }
    wrong::<String>("a string").await;
    wrong::<Option<String>>("a string").await;
    wrong::<u8>("u8").await;
    wrong::<Vec<String>>("a sequence").await;
    wrong::<()>("unit").await;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "never read")]
    struct Token {
        token: String,
    }
    // In another namespace, the client may be at fault.
    let namespace = Namespace::new().middleware(async |_: Auth<Token>| {});
    let (server, _io) = super::with(namespace).await;
    let mut client = Ws::open(server.addr).await;
    client.send(r#"40{"token":{}}"#).await;
    let refused = client.text().await;
    assert!(
        refused.contains(r#""auth: invalid type: map, expected a string""#),
        "{refused}"
    );
}

#[tokio::test]
async fn auth_and_extensions_are_there_in_every_phase() {
    #[derive(Clone)]
    struct User(String);

    #[derive(Deserialize)]
    struct Credentials {
        name: String,
    }

    let namespace = Namespace::new()
        .middleware(async |Auth(auth): Auth<Credentials>| Extension(User(auth.name)))
        .middleware(async |Extension(User(name)): Extension<User>| Extension(name.len()))
        .on_connect(
            async |socket: Socket, Extension(User(name)): Extension<User>| {
                socket.emit("hello", name);
            },
        )
        .on(
            "me",
            async |socket: Socket, Auth(auth): Auth<Value>, Extension(length): Extension<usize>| {
                Json((socket.get::<User>().map(|user| user.0), auth, length))
            },
        )
        .on("missing", async |missing: Option<Extension<u8>>| {
            Json(missing.is_none())
        });
    let (server, _io) = super::with(namespace).await;
    let mut client = Ws::open(server.addr).await;
    client.send("40{}").await;
    let refused = client.text().await;
    assert!(
        refused.starts_with(r#"44{"message":"auth: missing field `name`"#),
        "{refused}"
    );
    client.send(r#"40{"name":"ann"}"#).await;
    client.text().await;
    assert_eq!(client.text().await, r#"42["hello","ann"]"#);
    assert_eq!(
        client.ask(r#"["me"]"#).await,
        r#"[["ann",{"name":"ann"},3]]"#
    );
    assert_eq!(client.ask(r#"["missing"]"#).await, "[true]");
}

#[tokio::test]
async fn arguments_of_any_types_are_passed_on() {
    let namespace = Namespace::new()
        .on("echo", async |args: RawArgs| args)
        .on("tail", async |Data((_, rest)): Data<(Value, RawArgs)>| {
            Reply(("tail", rest))
        })
        .on("ask", async |socket: Socket, args: RawArgs| {
            let answer: RawArgs = socket.emit_with_ack("asked", &args).await.unwrap();
            assert_ne!(answer, args);
            answer
        })
        .fallback(async |socket: Socket, Event(name): Event, args: RawArgs| {
            socket.emit(name, ("forwarded", args));
        });
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    for (list, tail) in [
        ("[]", None),
        (
            r#"[1.0,"\u00e9",{"a":[null]}]"#,
            Some(r#"["tail","\u00e9",{"a":[null]}]"#),
        ),
        ("[[1,2],{}]", Some(r#"["tail",{}]"#)),
    ] {
        let args = list.strip_prefix('[').unwrap();
        let comma = if args == "]" { "" } else { "," };
        assert_eq!(client.ask(&format!("[\"echo\"{comma}{args}")).await, list);
        if let Some(tail) = tail {
            assert_eq!(client.ask(&format!("[\"tail\",{args}")).await, tail);
        }
        client.send(&format!("42[\"any\"{comma}{args}")).await;
        let forwarded = format!("42[\"any\",\"forwarded\"{comma}{args}");
        assert_eq!(client.text().await, forwarded);
    }
    let (p0, p1) = (
        r#"{"_placeholder":true,"num":0}"#,
        r#"{"_placeholder":true,"num":1}"#,
    );
    client
        .send(&format!(r#"452-7["echo",{{"x":{p0}}},{p1}]"#))
        .await;
    client.send_binary(b"a").await;
    client.send_binary(b"b").await;
    assert_eq!(client.text().await, format!(r#"462-7[{{"x":{p0}}},{p1}]"#));
    assert_eq!(
        (client.binary().await, client.binary().await),
        ("a".into(), "b".into())
    );
    client.send(&format!(r#"451-8["ask",{p0}]"#)).await;
    client.send_binary(b"c").await;
    assert_eq!(client.text().await, format!(r#"451-0["asked",{p0}]"#));
    assert_eq!(client.binary().await, "c");
    client.send(&format!(r#"461-0["answer",{p0}]"#)).await;
    client.send_binary(b"d").await;
    assert_eq!(client.text().await, format!(r#"461-8["answer",{p0}]"#));
    assert_eq!(client.binary().await, "d");
    // Another handler, or one that reads nothing, would close the connection as well.
    client.send(r#"42["echo",}]"#).await;
    client.ended().await;
}
