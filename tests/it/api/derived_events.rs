//! Typed events that are derived.

use axum::Json;
use axum_socketio::contract::{ClientEvent, ServerEvent, Shape};
use axum_socketio::{Namespace, Reply, Socket};
use serde::{Deserialize, Serialize};

use super::{answers, with};
use crate::support::Ws;

#[derive(Deserialize, ClientEvent)]
#[event("say", ack = usize)]
struct Say(String, String);

#[derive(Deserialize, ClientEvent)]
#[event("rename")]
#[serde(rename_all = "camelCase")]
struct Rename {
    new_name: String,
    #[serde(skip)]
    seen: bool,
}

#[derive(Deserialize, ClientEvent)]
#[event("pause", ack = (u8, u8),)]
struct Pause;

#[derive(Deserialize, ClientEvent)]
#[event("draw", ack = u8)]
#[serde(tag = "shape")]
enum Draw {
    Circle { radius: u8 },
}

/// One field: one argument, whatever serde makes of it.
#[derive(Deserialize, ClientEvent)]
#[event("point", ack = u8)]
#[serde(transparent)]
struct Point((u8, u8));

#[tokio::test]
async fn the_fields_are_the_arguments() {
    let namespace = Namespace::new()
        .on_event(Say::EVENT, async |Say(a, b): Say| Json(a.len() + b.len()))
        .on_event(Rename::EVENT, async |rename: Rename| {
            match (rename.seen, &*rename.new_name) {
                (false, "x") => Ok(()),
                _ => Err("no"),
            }
        })
        .on_event(Pause::EVENT, async |_: Pause| Reply((1, 2)))
        .on_event(Draw::EVENT, async |Draw::Circle { radius }: Draw| {
            Json(radius)
        })
        .on_event(Point::EVENT, async |Point((x, y)): Point| Json(x + y));
    answers(
        namespace,
        &[
            (r#"["say","ab","c"]"#, "[3]"),
            (r#"["rename",{"newName":"x"}]"#, "[]"),
            (r#"["pause"]"#, "[1,2]"),
            (r#"["draw",{"shape":"Circle","radius":4}]"#, "[4]"),
            (r#"["point",[1,2]]"#, "[3]"),
        ],
    )
    .await;
}

#[derive(Serialize, ServerEvent)]
#[event("said", ack = bool)]
struct Said<'a, T: Serialize>(&'a str, T)
where
    T: Copy;

#[derive(Serialize, ServerEvent)]
#[event("closing")]
struct Closing();

/// A type that travels both ways has one attribute for both.
#[derive(Serialize, Deserialize, ClientEvent, ServerEvent)]
#[event("cursor")]
struct Cursor {
    x: u8,
}

#[tokio::test]
async fn derived_events_are_sent() {
    assert_eq!(<Cursor as ClientEvent>::NAME, "cursor");
    assert_eq!(<Closing as ServerEvent>::SHAPE, Shape::Several);
    let namespace =
        Namespace::new().on_event(Cursor::EVENT, async |socket: Socket, cursor: Cursor| {
            socket.send_event(&cursor);
            socket.send_event(&Closing());
        });
    let (server, io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["cursor",{"x":3}]"#).await;
    assert_eq!(client.text().await, r#"42["cursor",{"x":3}]"#);
    assert_eq!(client.text().await, r#"42["closing"]"#);
    let remote = io.fetch_sockets().await.unwrap().remove(0);
    let socket = io.socket(remote.id()).unwrap();
    let answer = socket.send_event_with_ack(&Said("a", 1));
    assert_eq!(client.text().await, r#"420["said","a",1]"#);
    client.send("430[true]").await;
    let answer: bool = answer.await.unwrap();
    assert!(answer);
}
