//! Middleware, lifetimes of sockets, handlers of one socket.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::{Extension, Json, Router};
use axum_socketio::{Auth, Data, DisconnectReason, Event, Namespace, Refused, Socket, SocketIo};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{answers, with};
use crate::support::{Polling, Ws, serve, within};

#[tokio::test]
async fn a_refusal_has_message_and_data_and_may_be_tried_again() {
    async fn authenticate(Auth(auth): Auth<Value>) -> Result<Extension<u32>, Refused> {
        match auth["token"].as_str() {
            Some("ok") => Ok(Extension(7)),
            Some(number) => Ok(Extension(number.parse()?)),
            None => Err(Refused::new("not authorized").data(json!({ "code": "x" }))),
        }
    }
    let namespaces = [
        (
            "/",
            Namespace::new()
                .middleware(authenticate)
                .on("me", async |Extension(n): Extension<u32>| Json(n)),
        ),
        (
            "/status",
            Namespace::new().middleware(async || Err::<(), _>(StatusCode::UNAUTHORIZED)),
        ),
        (
            "/json",
            Namespace::new().middleware(async || {
                Err::<(), _>((
                    StatusCode::FORBIDDEN,
                    Json(json!({ "error": "no", "n": 1 })),
                ))
            }),
        ),
        (
            "/text",
            Namespace::new().middleware(async || Err::<(), _>((StatusCode::FORBIDDEN, "go away"))),
        ),
        (
            "/panic",
            Namespace::new().middleware(async || {
                if true {
                    panic!("on purpose")
                }
            }),
        ),
    ];
    let builder = namespaces
        .into_iter()
        .fold(SocketIo::builder(), |io, (name, namespace)| {
            io.namespace(name, namespace)
        });
    let io = builder.build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::open(server.addr).await;
    for (connect, answer) in [
        (
            "40",
            r#"44{"message":"not authorized","data":{"code":"x"}}"#,
        ),
        (
            r#"40{"token":"abc"}"#,
            r#"44{"message":"invalid digit found in string"}"#,
        ),
        ("40/status,", r#"44/status,{"message":"Unauthorized"}"#),
        (
            "40/json,",
            r#"44/json,{"message":"no","data":{"error":"no","n":1}}"#,
        ),
        ("40/text,", r#"44/text,{"message":"go away"}"#),
        ("40/panic,", r#"44/panic,{"message":"internal error"}"#),
        (
            "40/nowhere,",
            r#"44/nowhere,{"message":"Invalid namespace"}"#,
        ),
    ] {
        client.send(connect).await;
        assert_eq!(client.text().await, answer);
    }
    client.send(r#"40{"token":"ok"}"#).await;
    assert!(client.text().await.starts_with(r#"40{"sid":"#));
    assert_eq!(client.ask(r#"["me"]"#).await, "[7]");
}

#[tokio::test]
async fn a_connect_handler_that_fails_disconnects_its_socket_and_no_other() {
    let (sender, mut left) = mpsc::unbounded_channel();
    let fails = move |handler: fn(), name: &'static str| {
        let sender = sender.clone();
        Namespace::new()
            .on_connect(move || async move {
                tokio::task::yield_now().await;
                handler();
                Err::<(), _>(StatusCode::BAD_REQUEST)
            })
            .on("never", async || Json("called"))
            .on_disconnect(move |why: DisconnectReason| async move {
                sender.send((name, why)).unwrap();
                handler();
            })
    };
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("here", async || {}))
        .namespace("/error", fails(|| {}, "error"))
        .namespace("/panic", fails(|| panic!("on purpose"), "panic"))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    for name in ["error", "panic"] {
        client
            .send_all(&[&format!("40/{name},"), &format!(r#"42/{name},1["never"]"#)])
            .await;
        let joined = client.text().await;
        assert!(
            joined.starts_with(&format!(r#"40/{name},{{"sid":""#)),
            "{joined}"
        );
        assert_eq!(client.text().await, format!("41/{name},"));
        let end = (name, DisconnectReason::ServerNamespaceDisconnect);
        assert_eq!(within("its end", left.recv()).await, Some(end));
        assert_eq!(client.ask(r#"["here"]"#).await, "[]");
    }
}

#[tokio::test]
async fn rooms_joined_in_middleware_are_left_on_a_refusal() {
    let namespace = Namespace::new()
        .middleware(async |socket: Socket| socket.join("early"))
        .middleware(async |Auth(auth): Auth<Value>| {
            if auth["ok"] == true {
                Ok(())
            } else {
                Err(StatusCode::FORBIDDEN)
            }
        });
    let (server, io) = with(namespace).await;
    let mut client = Ws::open(server.addr).await;
    client.send("40").await;
    client.text().await;
    assert_eq!(io.to("early").fetch_sockets().await.unwrap().len(), 0);
    client.send(r#"40{"ok":true}"#).await;
    client.text().await;
    assert_eq!(io.to("early").fetch_sockets().await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_event_is_seen_first_and_the_rest_falls_back() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on_any(move |Event(name): Event| async move { sender.send(name).unwrap() })
        .on("known", async || Json("known"))
        .fallback(async |Event(name): Event| Json(format!("fallback for {name}")));
    answers(
        namespace,
        &[
            (r#"["known"]"#, r#"["known"]"#),
            (r#"["other"]"#, r#"["fallback for other"]"#),
        ],
    )
    .await;
    assert_eq!(
        (seen.recv().await, seen.recv().await),
        (Some("known".into()), Some("other".into()))
    );
}

#[tokio::test]
async fn an_on_any_handler_may_disconnect_before_the_event_is_handled() {
    let (sender, mut handled) = mpsc::unbounded_channel::<()>();
    let namespace = Namespace::new()
        .on_any(async |socket: Socket| socket.disconnect())
        .on("event", async move || sender.send(()).unwrap());
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["event"]"#).await;
    assert_eq!(client.text().await, "41");
    assert!(handled.try_recv().is_err());
}

#[tokio::test]
async fn a_socket_may_have_handlers_of_its_own() {
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| {
            let id = socket.id();
            socket.on("mine", async move || Json(id.as_str().len()));
            socket.once("once", async || Json("once"));
        })
        .on("once", async || Json("always"))
        .on("off", async |socket: Socket| socket.off("mine"));
    answers(
        namespace,
        &[
            (r#"["mine"]"#, "[20]"),
            (r#"["once"]"#, r#"["once"]"#),
            (r#"["once"]"#, r#"["always"]"#),
            (r#"["off"]"#, "[]"),
            (r#"["mine"]"#, r#"[{"error":"no handler for \"mine\""}]"#),
        ],
    )
    .await;
}

#[tokio::test]
async fn on_disconnect_gets_the_reason_and_the_rooms() {
    let (sender, mut left) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| socket.join(["a", "b"]))
        .on("kick", async |socket: Socket| socket.disconnect())
        .on_disconnect(move |socket: Socket, why: DisconnectReason| async move {
            let rooms: Vec<_> = socket
                .rooms()
                .iter()
                .skip(1)
                .map(ToString::to_string)
                .collect();
            sender.send((why, rooms, socket.connected())).unwrap();
        });
    let (server, _io) = with(namespace).await;
    for (how, reason) in [
        (Some("41"), DisconnectReason::ClientNamespaceDisconnect),
        (
            Some(r#"42["kick"]"#),
            DisconnectReason::ServerNamespaceDisconnect,
        ),
        (Some("42{}"), DisconnectReason::ForcedClose),
        (Some("x"), DisconnectReason::ParseError),
        (Some("2"), DisconnectReason::TransportError),
        (None, DisconnectReason::TransportClose),
    ] {
        let mut client = Ws::joined(server.addr).await;
        match how {
            Some(text) => client.send(text).await,
            None => drop(client),
        }
        let expected = (reason, vec!["a".to_owned(), "b".to_owned()], false);
        assert_eq!(within("its end", left.recv()).await, Some(expected));
    }
}

#[tokio::test]
async fn a_disconnect_packet_is_sent_before_the_connection_closes() {
    let (sender, mut left) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on("kick", async |socket: Socket| socket.disconnect())
        .on_disconnect(move |why: DisconnectReason| async move { sender.send(why).unwrap() });
    let (server, _io) = with(namespace).await;
    for last in ["1", "x", "2", "42{}"] {
        let mut client = Ws::joined(server.addr).await;
        client.send_all(&[r#"42["kick"]"#, last]).await;
        let why = Some(DisconnectReason::ServerNamespaceDisconnect);
        assert_eq!(within("its end", left.recv()).await, why, "{last}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_rejoin_once_it_received_a_disconnect() {
    const TIMES: usize = 100;

    let (sender, mut left) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on("now", async |socket: Socket| socket.disconnect())
        .on("later", async |socket: Socket| {
            tokio::task::yield_now().await;
            socket.disconnect();
        })
        .on("elsewhere", async |socket: Socket| {
            drop(std::thread::spawn(move || socket.disconnect()));
        })
        .on_disconnect(move |why: DisconnectReason| async move { sender.send(why).unwrap() });
    let (server, _io) = with(namespace).await;
    let mut ws = Ws::joined(server.addr).await;
    let mut polling = Polling::joined(server.addr).await;
    for _ in 0..TIMES {
        for event in [r#"42["now"]"#, r#"42["later"]"#, r#"42["elsewhere"]"#] {
            ws.send(event).await;
            assert_eq!(ws.text().await, "41", "{event}");
            ws.join("/").await;
            polling.begin_poll(&server).await;
            polling.send(event).await;
            assert_eq!(polling.end_poll().await.brief(), (200, "41"), "{event}");
            polling.send("40").await;
            let joined = polling.poll().await;
            assert!(joined.starts_with(r#"40{"sid":""#), "{event}: {joined}");
            for _ in 0..2 {
                let why = within("an end", left.recv()).await;
                assert_eq!(why, Some(DisconnectReason::ServerNamespaceDisconnect));
            }
        }
    }
}

#[tokio::test]
async fn namespaces_have_their_own_state_and_share_the_connection() {
    use axum::extract::State;

    async fn state(State(text): State<&'static str>) -> Json<&'static str> {
        Json(text)
    }
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("state", state))
        .namespace(
            "other",
            Namespace::new().on("state", state).with_state("other"),
        )
        .with_state("root")
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    client.join("/other").await;
    assert_eq!(client.ask(r#"["state"]"#).await, r#"["root"]"#);
    client.send(r#"42/other,1["state"]"#).await;
    assert_eq!(client.text().await, r#"43/other,1["other"]"#);
    assert_eq!(io.client_count(), 1);
}

#[tokio::test]
async fn a_handle_made_first_is_the_server_later() {
    let handle = SocketIo::handle();
    assert!(!handle.ready());
    let said = handle.clone();
    let namespace = Namespace::new().on("say", move |Data(text): Data<String>| async move {
        said.emit("said", text);
    });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .build_into(handle.clone());
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["say","hi"]"#).await;
    assert_eq!(client.text().await, r#"42["said","hi"]"#);
    assert!(handle.ready());
}

#[tokio::test]
async fn a_handler_of_a_socket_may_hold_that_socket() {
    struct Guard(mpsc::UnboundedSender<&'static str>);
    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }

    let (sender, mut dropped) = mpsc::unbounded_channel();
    let namespace = Namespace::new().on_connect(async move |socket: Socket| {
        let (own, guard) = (socket.clone(), Arc::new(Guard(sender)));
        socket.on("rooms", move || {
            let _ = &guard;
            let rooms = own.rooms().len();
            async move { Json(rooms) }
        });
    });
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(client.ask(r#"["rooms"]"#).await, "[1]");
    drop(client);
    assert_eq!(within("a drop", dropped.recv()).await, Some("dropped"));
}

#[tokio::test]
async fn inserted_values_stay_with_the_socket() {
    #[derive(Clone)]
    struct Name(String);

    async fn rename(
        socket: Socket,
        old: Option<Extension<Name>>,
        Data(new): Data<String>,
    ) -> Json<Value> {
        socket.insert(Name(new));
        let new = socket.get::<Name>().map(|name| name.0);
        Json(json!([old.map(|old| old.0.0), new]))
    }

    answers(
        Namespace::new().on("rename", rename),
        &[
            (r#"["rename","ann"]"#, r#"[[null,"ann"]]"#),
            (r#"["rename","bob"]"#, r#"[["ann","bob"]]"#),
            (r#"["rename","eve"]"#, r#"[["bob","eve"]]"#),
        ],
    )
    .await;
}
