//! Events that middleware emit to their sockets.

use axum::Router;
use axum_socketio::config::Recovery;
use axum_socketio::emit::EmitError;
use axum_socketio::{Auth, Namespace, Refused, Socket, SocketIo};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::support::{Ws, serve, within};

#[tokio::test]
async fn an_event_of_a_middleware_follows_the_connection() {
    for recovery in [None, Some(Recovery::new())] {
        let (sender, mut answers) = mpsc::unbounded_channel();
        let namespace = Namespace::new()
            .recovery(recovery)
            .middleware(async move |socket: Socket, Auth(auth): Auth<Value>| {
                assert!(socket.emit("early", 1).ok());
                assert!(socket.volatile().emit("volatile", 2).ok());
                socket.emit_when_writable("early", 3).await.unwrap();
                let asking = socket.emit_with_ack::<u8>("question", 4);
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(asking.await) });
                if auth["refuse"] == true {
                    return Err(Refused::new("no"));
                }
                Ok(())
            })
            .on_connect(async |socket: Socket| drop(socket.emit("late", 5)));
        let io = SocketIo::builder().namespace("/", namespace).build();
        let server = serve(Router::new().layer(io.layer())).await;
        let mut client = Ws::open(server.addr).await;
        client.send(r#"40{"refuse":true}"#).await;
        assert_eq!(client.text().await, r#"44{"message":"no"}"#);
        assert!(within("an end", answers.recv()).await.unwrap().is_err());
        assert_eq!(io.metrics().undelivered["closed"], 3);
        client.send("40").await;
        assert!(client.text().await.starts_with("40{"));
        let mut texts = Vec::new();
        for _ in 0..4 {
            texts.push(client.text().await);
        }
        let starts = [
            r#"42["early",1"#,
            r#"42["early",3"#,
            r#"42"#,
            r#"42["late",5"#,
        ];
        for (text, start) in texts.iter().zip(starts) {
            assert!(text.starts_with(start), "{text}");
        }
        let (id, _) = texts[2][2..].split_once('[').unwrap();
        assert_eq!(texts[2], format!(r#"42{id}["question",4]"#));
        client.send(&format!("43{id}[7]")).await;
        assert_eq!(
            within("an answer", answers.recv()).await.unwrap().unwrap(),
            7
        );
    }
}

#[tokio::test]
async fn events_of_a_middleware_are_limited() {
    let namespace = Namespace::new().middleware(async |socket: Socket| {
        for n in 0..256 {
            assert!(socket.emit("n", n).ok());
        }
        let full = socket.emit("n", 256).into_result();
        assert!(matches!(full, Err(EmitError::Full(_))));
    });
    let (server, _io) = super::with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    for n in 0..256 {
        assert_eq!(client.text().await, format!(r#"42["n",{n}]"#));
    }
}
