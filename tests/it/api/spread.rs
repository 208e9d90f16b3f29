//! The rule that decides how many arguments a value is, at every place where values are sent or read.

use std::fmt::Debug;
use std::sync::Arc;

use axum::Json;
use axum_socketio::extract::{RawArgs, Rest};
use axum_socketio::{Ack, Data, Namespace, Reply, Socket, SocketIo};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{answers, with};
use crate::support::Ws;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype((u8, u8));

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    a: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    Tuple(u8, u8),
}

/// A value that is sent and read.
trait Sent: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static> Sent
    for T
{
}

/// Checks that a value is this list of arguments wherever it is sent, and is read from that list.
async fn check<T: Sent>(value: T, list: &str) {
    check_sent(value.clone(), list, Some(value)).await;
}

/// Checks that a value is this list of arguments wherever it is sent, and that `read` is read from that list.
async fn check_sent<T: Sent, R: Sent>(value: T, list: &str, read: Option<R>) {
    let args = list.trim_start_matches('[').len();
    let event = match args {
        1 => r#"["x"]"#.to_owned(),
        _ => format!(r#"["x",{}"#, &list[1..]),
    };
    let value = Arc::new(value);
    let sent = |value: &Arc<T>| T::clone(value);
    let (emitted, asked, replied, acked) = (sent(&value), sent(&value), sent(&value), sent(&value));
    let (all, asked_all) = (sent(&value), sent(&value));
    let (expected, received) = (read.clone(), read.clone());
    let namespace = Namespace::new()
        .on("emit", move |socket: Socket| {
            let value = emitted.clone();
            async move { drop(socket.emit("x", value)) }
        })
        .on("emit all", move |io: SocketIo| {
            let value = all.clone();
            async move { drop(io.of("/").emit("x", value)) }
        })
        .on("ask", move |socket: Socket| {
            let (value, expected) = (asked.clone(), expected.clone());
            async move {
                match expected {
                    Some(expected) => {
                        let answer: R = socket.emit_with_ack("x", value).await.unwrap();
                        assert_eq!(answer, expected);
                    }
                    None => socket.emit_with_ack::<()>("x", value).await.unwrap(),
                }
            }
        })
        .on("ask all", move |io: SocketIo| {
            let value = asked_all.clone();
            async move { drop(io.of("/").emit_with_ack::<()>("x", value).all().await) }
        })
        .on("reply", move || {
            let value = replied.clone();
            async move { Reply(value) }
        })
        .on("ack", move |ack: Ack<T>| {
            let value = acked.clone();
            async move { ack.send(value) }
        })
        .on("read", move |Data(value): Data<R>| {
            let fits = received.as_ref() == Some(&value);
            async move { Json(fits) }
        });
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    for emit in ["emit", "emit all"] {
        client.send(&format!(r#"42["{emit}"]"#)).await;
        assert_eq!(client.text().await, format!("42{event}"), "{emit}");
    }
    for ask in ["ask", "ask all"] {
        client.send(&format!(r#"427["{ask}"]"#)).await;
        let question = client.text().await;
        let (id, question) = question[2..].split_once('[').unwrap();
        assert_eq!(format!("[{question}"), event, "{ask}");
        client.send(&format!("43{id}{list}")).await;
        assert_eq!(client.text().await, "437[]", "{ask}");
    }
    assert_eq!(client.ask(r#"["reply"]"#).await, list);
    assert_eq!(client.ask(r#"["ack"]"#).await, list);
    if read.is_some() {
        let read = event.replacen(r#""x""#, r#""read""#, 1);
        assert_eq!(client.ask(&read).await, "[true]", "{read}");
    }
}

#[tokio::test]
async fn a_value_is_the_same_arguments_everywhere() {
    check((), "[]").await;
    check((1, "x".to_owned()), r#"[1,"x"]"#).await;
    check((1,), "[1]").await;
    check(((1, 2),), "[[1,2]]").await;
    check(([1, 2], Unit), "[[1,2],null]").await;
    check([1, 2], "[1,2]").await;
    check(Rest(vec![1, 2]), "[1,2]").await;
    check((0, Rest(vec![1, 2])), "[0,1,2]").await;
    check(RawArgs::new(&(1, "x")).unwrap(), r#"[1,"x"]"#).await;
    check((0, RawArgs::new(&[1]).unwrap()), "[0,1]").await;
    check(RawArgs::default(), "[]").await;
    check(vec![1, 2], "[[1,2]]").await;
    check(Unit, "[null]").await;
    check(Pair(1, "x".to_owned()), r#"[[1,"x"]]"#).await;
    check(Newtype((1, 2)), "[[1,2]]").await;
    check(Fields { a: 1 }, r#"[{"a":1}]"#).await;
    check(Choice::Unit, r#"["Unit"]"#).await;
    check(Choice::Tuple(1, 2), r#"[{"Tuple":[1,2]}]"#).await;
    check(None::<u8>, "[null]").await;
    check(Some((1, 2)), "[[1,2]]").await;
    check("x".to_owned(), r#"["x"]"#).await;
    check(json!([1, 2]), "[[1,2]]").await;
    check(json!({"a": null}), r#"[{"a":null}]"#).await;
    check((Value::Null,), "[null]").await;
    // serde reports it as a unit, and a `Value` is not read from nothing.
    check_sent(Value::Null, "[]", None::<()>).await;
    check_sent(Value::Null, "[]", Some(None::<Value>)).await;
}

#[tokio::test]
async fn json_is_one_argument() {
    let namespace = Namespace::new()
        .on("unit", async |Json(value): Json<()>| Json(value))
        .on("null", async |Json(value): Json<Value>| Json(value))
        .on("tuple", async |Json(value): Json<(u8, u8)>| Json(value))
        .on("rest", async |Json(value): Json<Rest<u8>>| Json(value))
        .on("pair", async |Json(value): Json<Pair>| Json(value));
    answers(
        namespace,
        &[
            (r#"["unit",null]"#, "[null]"),
            (r#"["null",null]"#, "[null]"),
            (r#"["tuple",[1,2]]"#, "[[1,2]]"),
            (r#"["rest",[1,2]]"#, "[[1,2]]"),
            (r#"["pair",[1,"x"]]"#, r#"[[1,"x"]]"#),
        ],
    )
    .await;
}

fn takes(namespace: Namespace) -> Namespace {
    namespace
        .on("none", async |Data(()): Data<()>| Json("none"))
        .on("one", async |Data(one): Data<String>| Json(one))
        .on("json", async |Json(one): Json<String>| Json(one))
        .on("two", async |Data((one, _)): Data<(String, u8)>| Json(one))
        .on("maybe", async |Data(one): Data<Option<String>>| Json(one))
        .on("unread", async || Json("unread"))
        .on("ask", async |socket: Socket| {
            let answer: Result<String, _> = socket.emit_with_ack("q", ()).await;
            Json(answer.map_err(|error| error.to_string()))
        })
}

#[tokio::test]
async fn surplus_arguments_are_ignored() {
    let (server, _io) = with(takes(Namespace::new())).await;
    let mut client = Ws::joined(server.addr).await;
    for (event, answer) in [
        (r#"["none",{},2]"#, r#"["none"]"#),
        (r#"["one","a",{"b":[1]},null]"#, r#"["a"]"#),
        (r#"["json","a",2]"#, r#"["a"]"#),
        (r#"["two","a",1,2]"#, r#"["a"]"#),
        (r#"["maybe","a",1]"#, r#"["a"]"#),
        (r#"["unread",1]"#, r#"["unread"]"#),
    ] {
        assert_eq!(client.ask(event).await, answer, "{event}");
    }
    // Attachments, in arguments that are taken and in others.
    client
        .send(r#"451-8["one","a",{"_placeholder":true,"num":0}]"#)
        .await;
    client.send_binary(b"surplus").await;
    assert_eq!(client.text().await, r#"438["a"]"#);
    client.send(r#"428["ask"]"#).await;
    assert_eq!(client.text().await, r#"420["q"]"#);
    client.send(r#"430["a",1,{}]"#).await;
    assert_eq!(client.text().await, r#"438[{"Ok":"a"}]"#);
    // Missing and mistyped arguments are rejected.
    let missing = r#"[{"error":"two: expected 2 arguments, got 1"}]"#;
    assert_eq!(client.ask(r#"["two","a"]"#).await, missing);
    let answer = client.ask(r#"["one",1,2]"#).await;
    assert!(
        answer.contains("expected a string at argument 1"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_strict_namespace_rejects_surplus_arguments() {
    answers(
        takes(Namespace::new().strict_arguments()),
        &[
            (r#"["one","a"]"#, r#"["a"]"#),
            (
                r#"["none",1]"#,
                r#"[{"error":"none: expected 0 arguments, got 1"}]"#,
            ),
            (
                r#"["one","a",1]"#,
                r#"[{"error":"one: expected 1 argument, got 2"}]"#,
            ),
            (
                r#"["json","a",1]"#,
                r#"[{"error":"json: expected 1 argument, got 2"}]"#,
            ),
            (
                r#"["two","a",1,2]"#,
                r#"[{"error":"two: expected 2 arguments, got 3"}]"#,
            ),
            (r#"["unread",1]"#, r#"["unread"]"#),
        ],
    )
    .await;
}

#[tokio::test]
async fn malformed_surplus_arguments_close_the_connection() {
    let (server, _io) = with(takes(Namespace::new())).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"421["one","a",}]"#).await;
    client.ended().await;
}
