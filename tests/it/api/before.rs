//! Hooks that run before the handler of an event, and may refuse it.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum_socketio::config::AckFormat;
use axum_socketio::extract::RawArgs;
use axum_socketio::handler::Handler;
use axum_socketio::{Data, Event, Namespace, Socket, SocketIo};
use tokio::sync::{Notify, mpsc};

use super::{answers, with};
use crate::support::{Ws, serve, within};

async fn positive(Data(n): Data<i32>) -> Result<(), (StatusCode, &'static str)> {
    if n > 0 {
        Ok(())
    } else {
        Err((StatusCode::FORBIDDEN, "positive ones only"))
    }
}

#[tokio::test]
async fn an_event_may_be_refused_before_its_handler_is_called() {
    let namespace = Namespace::new()
        .before(positive)
        // Its return value is not the answer.
        .before(async || Json("passed"))
        .on_connect(async |socket: Socket| {
            socket.before(async |Event(name): Event| match name.as_str() {
                "closed" => Err("closed"),
                _ => Ok(()),
            });
            socket.on("own", async |Data(n): Data<i32>| Json(n));
        })
        .on("shared", async |Data(n): Data<i32>| Json(n))
        .on("closed", async || Json("open"))
        .fallback(async || Json("fallback"));
    answers(
        namespace,
        &[
            (r#"["shared",1]"#, "[1]"),
            (r#"["shared",0]"#, r#"[{"error":"positive ones only"}]"#),
            (r#"["own",2]"#, "[2]"),
            (r#"["own",0]"#, r#"[{"error":"positive ones only"}]"#),
            (r#"["closed",0]"#, r#"[{"error":"positive ones only"}]"#),
            (r#"["closed",3]"#, r#"[{"error":"closed"}]"#),
            (r#"["other",4]"#, r#"["fallback"]"#),
            (r#"["other",0]"#, r#"[{"error":"positive ones only"}]"#),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_refusal_has_the_form_of_other_errors_and_is_silent_if_nobody_asks() {
    let (sender, mut handled) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .before(positive)
        .on("n", async move |Data(n): Data<i32>| sender.send(n).unwrap());
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .ack_format(AckFormat::ErrorFirst)
        .build();
    let server = serve(axum::Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[r#"42["n",0]"#, r#"42["n","?"]"#, r#"42["n",1]"#])
        .await;
    assert_eq!(within("the third", handled.recv()).await, Some(1));
    let refused = client.ask(r#"["n",0]"#).await;
    assert!(refused.starts_with(r#"[{"#), "{refused}");
    assert!(refused.contains("positive ones only"), "{refused}");
    let misfit = client.ask(r#"["n","?"]"#).await;
    assert!(misfit.contains("error"), "{misfit}");
    assert!(handled.try_recv().is_err());
    // The arguments are not JSON, and no handler has deserialized them.
    client.send(r#"42["n",}"#).await;
    assert_eq!(client.ended().await.close, Some(None));
}

#[tokio::test]
async fn later_events_wait_while_one_is_decided_about() {
    let (sender, mut handled) = mpsc::unbounded_channel();
    let decision = Arc::new(Notify::new());
    let awaited = Arc::clone(&decision);
    let namespace = Namespace::new()
        .before(async move |Event(name): Event| {
            if name == "slow" {
                awaited.notified().await;
            }
        })
        .fallback(async move |Event(name): Event| {
            sender.send(name.clone()).unwrap();
            Json(name)
        });
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    let mut other = Ws::joined(server.addr).await;
    client.send_all(&[r#"42["slow"]"#, r#"42["fast"]"#]).await;
    assert_eq!(other.ask(r#"["other"]"#).await, r#"["other"]"#);
    client.send("41").await;
    assert_eq!(handled.recv().await.as_deref(), Some("other"));
    assert!(handled.try_recv().is_err());
    decision.notify_one();
    // The client has left meanwhile. The events that it sent before are handled.
    for name in ["slow", "fast"] {
        let next = within("an event", handled.recv()).await;
        assert_eq!(next.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn before_event_hooks_may_disconnect_or_panic() {
    let (sender, mut handled) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .before(async |socket: Socket, Event(name): Event| match &*name {
            "kick" => socket.disconnect(),
            "panic" => panic!("on purpose"),
            _ => {}
        })
        .fallback(async move |Event(name): Event| sender.send(name).unwrap());
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    let panicked = client.ask(r#"["panic"]"#).await;
    assert_eq!(panicked, r#"[{"error":"internal error"}]"#);
    assert_eq!(client.ask(r#"["next"]"#).await, "[]");
    client.send(r#"42["kick"]"#).await;
    assert_eq!(client.text().await, "41");
    assert_eq!(handled.try_recv().as_deref(), Ok("next"));
    assert!(handled.try_recv().is_err());
}

#[tokio::test]
async fn a_refused_event_makes_way_for_the_next_of_its_handler() {
    let namespace = Namespace::new()
        .before(positive)
        .on("n", (async |Data(n): Data<i32>| Json(n)).one_at_a_time());
    answers(
        namespace,
        &[
            (r#"["n",0]"#, r#"[{"error":"positive ones only"}]"#),
            (r#"["n",1]"#, "[1]"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_socket_may_see_all_its_own_events_also_those_that_are_refused() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let shared = sender.clone();
    let namespace = Namespace::new()
        .before(positive)
        .on_any(async move |Event(name): Event| shared.send(format!("any {name}")).unwrap())
        .on("watch", async move |socket: Socket| {
            let sender = sender.clone();
            socket.on_any(async move |Event(name): Event, args: RawArgs| {
                sender.send(format!("own {name} {}", args.json())).unwrap();
            });
        })
        .on("stop", async |socket: Socket| socket.off_any())
        .on("n", async || {});
    let (server, _io) = with(namespace).await;
    let mut watched = Ws::joined(server.addr).await;
    let mut other = Ws::joined(server.addr).await;
    watched.ask(r#"["watch",1]"#).await;
    other.ask(r#"["n",2]"#).await;
    watched.ask(r#"["n",0]"#).await;
    watched.ask(r#"["stop",1]"#).await;
    watched.ask(r#"["n",1]"#).await;
    for expected in [
        "any watch",
        "any n",
        "any n",
        "own n [0]",
        "any stop",
        "own stop [1]",
        "any n",
    ] {
        assert_eq!(seen.try_recv().as_deref(), Ok(expected));
    }
    assert!(seen.try_recv().is_err());
}
