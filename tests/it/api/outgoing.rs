//! The events that a hook for outgoing events receives.

use axum_socketio::handler::Outgoing;
use axum_socketio::{Data, Namespace, Socket};
use tokio::sync::mpsc;

use super::with;
use crate::support::Ws;

/// Creates a namespace with a hook that reports the recipients and the content of each outgoing event.
fn watched() -> (Namespace, mpsc::UnboundedReceiver<String>) {
    let (sender, seen) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on_any_outgoing(|outgoing: &Outgoing<'_>| assert_ne!(outgoing.event, "panic"))
        .on_any_outgoing(move |outgoing: &Outgoing<'_>| {
            let (who, what) = (outgoing.socket.rooms()[1].clone(), outgoing.json);
            sender.send(format!("{who} {what}")).unwrap();
        })
        .on("join", async |socket: Socket, Data(room): Data<String>| {
            socket.join(room)
        });
    (namespace, seen)
}

#[tokio::test]
async fn every_event_is_seen_once_for_each_socket_that_it_is_for() {
    let (namespace, mut seen) = watched();
    let namespace = namespace.on("go", async |socket: Socket| {
        socket.emit("one", (1, "x"));
        // The volatile event is lost, because another one is queued before it.
        socket.volatile().emit("volatile", ());
        socket.emit_when_writable("waits", ()).await.unwrap();
        drop(socket.emit_with_ack::<()>("asks", ()));
        socket.broadcast().emit("others", ());
        assert!(!socket.emit("connect", ()).ok(), "reserved");
    });
    let (server, io) = with(namespace).await;
    let mut clients = Vec::new();
    for name in ["a", "b", "c"] {
        let mut client = Ws::joined(server.addr).await;
        client.ask(&format!(r#"["join","{name}"]"#)).await;
        clients.push(client);
    }
    clients[0].send(r#"427["go"]"#).await;
    for text in [
        r#"42["one",1,"x"]"#,
        r#"42["waits"]"#,
        r#"420["asks"]"#,
        "437[]",
    ] {
        assert_eq!(clients[0].text().await, text);
    }
    drop(io.to(["a", "b"]).emit_with_ack::<()>("vote", ()));
    drop(io.to("nobody").emit("nothing", ()));
    for (who, what) in [
        ("a", r#"["one",1,"x"]"#),
        ("a", r#"["volatile"]"#),
        ("a", r#"["waits"]"#),
        ("a", r#"["asks"]"#),
        ("b", r#"["others"]"#),
        ("c", r#"["others"]"#),
        ("a", r#"["vote"]"#),
        ("b", r#"["vote"]"#),
    ] {
        assert_eq!(seen.try_recv(), Ok(format!("{who} {what}")));
    }
    assert!(seen.try_recv().is_err(), "acknowledgements are not seen");
}

#[tokio::test]
async fn a_hook_that_panics_keeps_the_event_from_nobody() {
    let (namespace, mut seen) = watched();
    let (server, io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client.ask(r#"["join","a"]"#).await;
    io.emit("panic", ());
    assert_eq!(client.text().await, r#"42["panic"]"#);
    assert_eq!(seen.try_recv().as_deref(), Ok(r#"a ["panic"]"#));
}
