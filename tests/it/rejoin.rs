//! A second CONNECT for a namespace: a DISCONNECT followed by a CONNECT. A client sends it if it connects, disconnects
//! and connects within one tick.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum_socketio::config::Recovery;
use axum_socketio::{Auth, Data, DisconnectReason, Limits, Namespace, Socket};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Polling, Ws, echo, next, sid_in, with, within};

/// The log of the sockets' events in a namespace, in order.
type Log = mpsc::UnboundedReceiver<String>;

/// Creates a namespace that logs the events of its sockets. The `n` of the auth is the name of a socket.
fn logged() -> (Namespace, Log) {
    let (sender, log) = mpsc::unbounded_channel();
    let (connects, disconnects) = (sender.clone(), sender);
    let name = |auth: &Value| auth["n"].to_string();
    let namespace = Namespace::new()
        .on_connect(move |Auth(auth): Auth<Value>| {
            let _ = connects.send(format!("{} connects", name(&auth)));
            std::future::ready(())
        })
        .on_disconnect(move |Auth(auth): Auth<Value>, reason: DisconnectReason| {
            let _ = disconnects.send(format!("{}: {reason}", name(&auth)));
            std::future::ready(())
        })
        .on("echo", async |Data(value): Data<Value>| Json(value));
    (namespace, log)
}

fn sid(answer: &str) -> String {
    sid_in(&answer[answer.find('{').unwrap()..])
}

#[tokio::test]
async fn the_first_socket_leaves_without_closing_the_connection() {
    let (namespace, mut log) = logged();
    let (server, io) = with(|io| io.namespace("/", echo().0).namespace("/a", namespace)).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"40/a,{"n":1}"#, r#"40/a,{"n":2}"#]).await;
    let first = ws.text().await;
    let second = ws.text().await;
    assert!(first.starts_with("40/a,{") && second.starts_with("40/a,{"));
    assert_ne!(sid(&first), sid(&second));
    for expected in ["1 connects", "1: client namespace disconnect", "2 connects"] {
        assert_eq!(next(&mut log).await, expected);
    }
    ws.send(r#"42/a,1["echo",1]"#).await;
    assert_eq!(ws.text().await, "43/a,1[1]");
    ws.alive().await;
    let metrics = io.metrics();
    assert_eq!((metrics.sockets["/"], metrics.sockets["/a"]), (1, 1));
    assert_eq!(metrics.connections["websocket"], 1);
}

#[tokio::test]
async fn a_client_rejoins_three_times_over_polling() {
    let (namespace, mut log) = logged();
    let (server, _io) = with(|io| io.namespace("/", namespace)).await;
    let mut client = Polling::open(server.addr).await;
    client
        .send("40{\"n\":1}\x1e40{\"n\":2}\x1e40{\"n\":3}\x1e421[\"echo\",1]")
        .await;
    let mut texts = Vec::new();
    while texts.last().is_none_or(|last| last != "431[1]") {
        texts.extend(client.poll().await.split('\x1e').map(str::to_owned));
    }
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(texts[..3].iter().all(|text| text.starts_with("40{")));
    for expected in [
        "1 connects",
        "1: client namespace disconnect",
        "2 connects",
        "2: client namespace disconnect",
        "3 connects",
    ] {
        assert_eq!(next(&mut log).await, expected);
    }
}

#[tokio::test]
async fn a_first_connect_that_is_in_its_middleware_gets_no_answer() {
    let (namespace, mut log) = logged();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let namespace = namespace.middleware(move |Auth(auth): Auth<Value>| {
        let gate = Arc::clone(&gate);
        async move {
            if auth["n"] != 3 {
                gate.acquire().await.unwrap().forget();
            }
        }
    });
    let (server, _io) = with(|io| io.namespace("/", namespace)).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&[
        r#"40{"n":1}"#,
        r#"421["echo",1]"#,
        r#"40{"n":2}"#,
        r#"422["echo",2]"#,
        r#"40{"n":3}"#,
        r#"423["echo",3]"#,
    ])
    .await;
    assert!(ws.text().await.starts_with("40{"));
    // The packets to the first two sockets are gone with them.
    assert_eq!(ws.text().await, "433[3]");
    assert_eq!(next(&mut log).await, "3 connects");
    go.add_permits(2);
    ws.alive().await;
    assert!(log.try_recv().is_err());
}

#[tokio::test]
async fn events_go_to_the_socket_that_was_connected_before_them() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let (sender, mut log) = mpsc::unbounded_channel();
    let left = sender.clone();
    let namespace = Namespace::new()
        .max_pending(1)
        .on(
            "wait",
            move |Auth(auth): Auth<Value>, Data(n): Data<u32>| {
                let (gate, sender) = (Arc::clone(&gate), sender.clone());
                async move {
                    gate.acquire().await.unwrap().forget();
                    let _ = sender.send(format!("{} handles {n}", auth["n"]));
                }
            },
        )
        .on_disconnect(move |Auth(auth): Auth<Value>| {
            let _ = left.send(format!("{} leaves", auth["n"]));
            std::future::ready(())
        });
    let (server, _io) = with(|io| io.namespace("/", namespace)).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&[
        r#"40{"n":1}"#,
        r#"42["wait",1]"#,
        r#"42["wait",2]"#,
        r#"40{"n":2}"#,
        r#"42["wait",3]"#,
    ])
    .await;
    assert!(ws.text().await.starts_with("40{"));
    go.add_permits(3);
    assert!(ws.text().await.starts_with("40{"));
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(next(&mut log).await);
    }
    let at = |what: &str| all.iter().position(|one| one == what).unwrap();
    assert!(at("1 handles 1") < at("1 handles 2"));
    assert!(at("1 leaves") < at("2 handles 3"));
}

#[tokio::test]
async fn a_connect_handler_that_awaits_does_not_hold_up_the_second() {
    let (sender, mut log) = mpsc::unbounded_channel();
    let left = sender.clone();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let namespace = Namespace::new()
        .on_connect(move |Auth(auth): Auth<Value>| {
            let (gate, sender) = (Arc::clone(&gate), sender.clone());
            async move {
                if auth["n"] == 1 {
                    gate.acquire().await.unwrap().forget();
                }
                let _ = sender.send(format!("{} connects", auth["n"]));
            }
        })
        .on_disconnect(move |Auth(auth): Auth<Value>| {
            let _ = left.send(format!("{} leaves", auth["n"]));
            std::future::ready(())
        });
    let (server, _io) = with(|io| io.namespace("/", namespace)).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&[r#"40{"n":1}"#, r#"40{"n":2}"#]).await;
    for _ in 0..2 {
        assert!(ws.text().await.starts_with("40{"));
    }
    assert_eq!(next(&mut log).await, "1 leaves");
    assert_eq!(next(&mut log).await, "2 connects");
    go.add_permits(1);
    assert_eq!(next(&mut log).await, "1 connects");
    ws.send(r#"421["nobody"]"#).await;
    assert!(ws.text().await.starts_with("431["));
}

#[tokio::test]
async fn it_counts_once_against_the_limit_of_namespaces() {
    let (namespace, _log) = logged();
    let (server, _io) = with(|io| {
        io.limits(Limits::new().max_namespaces(2))
            .namespace("/", Namespace::new())
            .namespace("/a", namespace)
            .namespace("/b", Namespace::new())
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&["40/a,", "40/a,", "40/a,"]).await;
    for _ in 0..3 {
        assert!(ws.text().await.starts_with("40/a,{"));
    }
    ws.send("40/b,").await;
    assert_eq!(ws.ended().await.close, Some(None));
}

#[tokio::test]
async fn a_refused_first_connect_leaves_the_second_alone() {
    let (namespace, mut log) = logged();
    let namespace = namespace.middleware(async |Auth(auth): Auth<Value>| auth["n"] == 2);
    let (server, _io) = with(|io| io.namespace("/", namespace)).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&[r#"40{"n":1}"#, r#"40{"n":2}"#]).await;
    assert!(ws.text().await.starts_with("44{"));
    assert!(ws.text().await.starts_with("40{"));
    assert_eq!(next(&mut log).await, "2 connects");
    ws.send_all(&["40/nowhere,", "40/nowhere,"]).await;
    for _ in 0..2 {
        assert!(ws.text().await.starts_with("44/nowhere,"));
    }
    ws.send(r#"421["echo",1]"#).await;
    assert_eq!(ws.text().await, "431[1]");
}

#[tokio::test]
async fn a_dynamic_namespace_is_made_anew_or_goes_on() {
    let (namespace, mut log) = logged();
    let (server, io) = with(|io| io.namespace("/orders-{id}", namespace)).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&[r#"40/orders-1,{"n":1}"#, r#"40/orders-1,{"n":2}"#])
        .await;
    for _ in 0..2 {
        assert!(ws.text().await.starts_with("40/orders-1,{"));
    }
    for expected in ["1 connects", "1: client namespace disconnect", "2 connects"] {
        assert_eq!(next(&mut log).await, expected);
    }
    assert!(io.of("/orders-1").emit("e", ()).ok());
    assert_eq!(ws.text().await, r#"42/orders-1,["e"]"#);
    assert_eq!(io.metrics().sockets["/orders-{id}"], 1);
}

#[tokio::test]
async fn with_recovery_the_first_session_is_over_and_the_second_is_new() {
    let (namespace, mut log) = logged();
    let (server, io) = with(|io| io.recovery(Recovery::new()).namespace("/", namespace)).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&[r#"40{"n":1}"#, r#"40{"n":2}"#]).await;
    let (first, second) = (ws.text().await, ws.text().await);
    for expected in ["1 connects", "1: client namespace disconnect", "2 connects"] {
        assert_eq!(next(&mut log).await, expected);
    }
    io.emit("e", ());
    let event = ws.text().await;
    let offset: (String, String) = serde_json::from_str(&event[2..]).unwrap();
    drop(ws);
    assert_eq!(next(&mut log).await, "2: transport close");
    let pid = |text: &str| text.split(r#""pid":""#).nth(1).unwrap()[..20].to_owned();
    for (text, back) in [(first, false), (second, true)] {
        let mut ws = Ws::open(server.addr).await;
        let (pid, offset) = (pid(&text), &offset.1);
        let connect = format!(r#"40{{"n":3,"pid":"{pid}","offset":"{offset}"}}"#);
        ws.send(&connect).await;
        let answer = ws.text().await;
        assert_eq!(sid(&answer) == sid(&text), back, "{answer}");
    }
}

#[tokio::test]
async fn the_second_socket_may_claim_the_session_of_the_first() {
    let go = Arc::new(Semaphore::new(1));
    let gate = Arc::clone(&go);
    let wait = move || {
        let gate = Arc::clone(&gate);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let recovery = Recovery::new();
    let (server, io) = with(|io| {
        io.recovery(recovery)
            .namespace("/", Namespace::new().middleware(wait))
    })
    .await;
    let mut ws = Ws::open(server.addr).await;
    ws.send("40").await;
    let first = ws.text().await;
    io.emit("e", ());
    let event = ws.text().await;
    let offset: (String, String) = serde_json::from_str(&event[2..]).unwrap();
    let socket = io.fetch_sockets().await.unwrap()[0].id();
    let socket = io.socket(socket).unwrap();
    drop(ws);
    within("its end", socket.closed()).await;
    let pid = &first.split(r#""pid":""#).nth(1).unwrap()[..20];
    let connect = format!(r#"40{{"pid":"{pid}","offset":"{}"}}"#, offset.1);
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&[&connect, &connect]).await;
    ws.is_read().await;
    go.add_permits(2);
    assert_eq!(sid(&ws.text().await), sid(&first));
}

#[tokio::test]
async fn while_nothing_may_start_the_newest_connect_waits() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let (namespace, mut log) = logged();
    let wait = Namespace::new().on("wait", async move || gate.acquire().await.unwrap().forget());
    let (server, _io) = with(|io| {
        io.limits(Limits::new().max_handlers(1))
            .namespace("/", wait)
            .namespace("/a", namespace)
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"421["wait"]"#, r#"40/a,{"n":1}"#, r#"40/a,{"n":2}"#])
        .await;
    ws.is_read().await;
    go.add_permits(1);
    assert_eq!(ws.text().await, "431[]");
    assert!(ws.text().await.starts_with("40/a,{"));
    assert_eq!(next(&mut log).await, "2 connects");
}

#[cfg(feature = "v3")]
#[tokio::test]
async fn a_client_of_revision_3_rejoins() {
    let (namespace, mut log) = logged();
    let (server, _io) = with(|io| {
        io.allow_eio3()
            .namespace("/", Namespace::new())
            .namespace("/a", namespace)
    })
    .await;
    let target = "/socket.io/?EIO=3&transport=websocket";
    let mut ws = Ws::raw(server.addr, target).await.unwrap();
    assert!(ws.text().await.starts_with('0'));
    assert_eq!(ws.text().await, "40");
    ws.send_all(&["40/a?n=1", "40/a?n=2"]).await;
    for _ in 0..2 {
        assert_eq!(ws.text().await, "40/a,");
    }
    for expected in [
        r#""1" connects"#,
        r#""1": client namespace disconnect"#,
        r#""2" connects"#,
    ] {
        assert_eq!(next(&mut log).await, expected);
    }
    // It also holds for the namespace that such clients join by connecting.
    ws.send_all(&["40", r#"421["nobody"]"#]).await;
    assert_eq!(ws.text().await, "40");
    assert!(ws.text().await.starts_with("431["));
}

#[tokio::test]
async fn a_disconnect_by_the_server_that_crosses_it_is_answered_once() {
    let namespace = Namespace::new().on("out", async |socket: Socket| socket.disconnect());
    let (server, _io) = with(|io| io.namespace("/", namespace)).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"42["out"]"#, "40", r#"421["nobody"]"#])
        .await;
    assert_eq!(ws.text().await, "41");
    assert!(ws.text().await.starts_with("40{"));
    assert!(ws.text().await.starts_with("431["));
}

#[tokio::test]
async fn connects_in_a_row_start_no_more_handlers_than_the_limit() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let never = move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>()
    };
    let (server, _io) = with(|io| {
        io.limits(Limits::new().max_handlers(10))
            .namespace("/", Namespace::new().middleware(never))
            .namespace("/healthy", echo().0)
    })
    .await;
    let mut healthy = Ws::open(server.addr).await;
    healthy.join("/healthy").await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&["40"; 1000]).await;
    ws.is_read().await;
    // Middleware of abandoned attempts still runs, and counts.
    assert_eq!(started.load(Ordering::SeqCst), 10);
    healthy.alive_in("/healthy").await;
}
