//! Namespaces that are merged.

use axum::Json;
use axum_socketio::config::{Order, Unhandled};
use axum_socketio::handler::EventRequest;
use axum_socketio::{Data, Event, Namespace, Socket};
use tokio::sync::mpsc;
use tower::ServiceBuilder;

use super::{answers, with};
use crate::support::{Ws, next};

#[tokio::test]
async fn the_handlers_of_both_namespaces_are_called() {
    let todos = Namespace::new()
        .with_state(7)
        .on("list", async || Json("todos"));
    let todos: Namespace = todos;
    let users = Namespace::new()
        .on("users", async |Data(n): Data<u8>| Json(n + 1))
        .fallback(async |Event(name): Event| Json(name));
    let expected = [
        (r#"["list"]"#, r#"["todos"]"#),
        (r#"["users",1]"#, "[2]"),
        (r#"["other"]"#, r#"["other"]"#),
        (r#"["own"]"#, r#"["own"]"#),
    ];
    let own = Namespace::new().on("own", async || Json("own"));
    answers(own.merge(todos).merge(users), &expected).await;
}

#[tokio::test]
async fn middleware_and_observers_of_both_run_in_order() {
    let (told, mut order) = mpsc::unbounded_channel();
    let part = |name: &'static str| {
        let say = |what: &'static str| {
            let told = told.clone();
            move || told.send(format!("{what} {name}")).unwrap()
        };
        let (middleware, any, before, out) = (say("use"), say("any"), say("before"), say("out"));
        Namespace::new()
            .middleware(async move || middleware())
            .on_any(async move || any())
            .before(async move || before())
            .on_any_outgoing(move |_| out())
    };
    let last = Namespace::new().on("event", async |socket: Socket| {
        socket.emit("x", ());
    });
    let (server, _io) = with(part("a").merge(part("b")).merge(last)).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["event"]"#).await;
    for expected in [
        "use a", "use b", "any a", "any b", "before a", "before b", "out a", "out b",
    ] {
        assert_eq!(next(&mut order).await, expected);
    }
}

#[tokio::test]
async fn a_layer_wraps_the_handlers_of_its_own_namespace() {
    let (told, mut layers) = mpsc::unbounded_channel();
    let layer = |name: &'static str| {
        let told = told.clone();
        ServiceBuilder::new().map_request(move |request: EventRequest| {
            told.send(name).unwrap();
            request
        })
    };
    let outer = Namespace::new()
        .layer(layer("outer"))
        .on("a", async || Json("a"));
    let inner = Namespace::new()
        .layer(layer("inner"))
        .on("b", async || Json("b"))
        .fallback(async || Json("c"));
    let (server, _io) = with(outer.merge(inner)).await;
    let mut client = Ws::joined(server.addr).await;
    for (event, expected) in [
        ("a", &["outer"][..]),
        ("b", &["outer", "inner"]),
        ("c", &["outer", "inner"]),
    ] {
        let answer = client.ask(&format!("[{event:?}]")).await;
        assert_eq!(answer, format!("[{event:?}]"));
        for layer in expected {
            assert_eq!(next(&mut layers).await, *layer);
        }
        assert!(layers.try_recv().is_err());
    }
}

#[tokio::test]
async fn an_option_of_one_namespace_holds_for_both() {
    let strict = Namespace::new().strict_arguments().on("other", async || {});
    let namespace = Namespace::new()
        .on("one", async |Data(n): Data<u8>| Json(n))
        .merge(strict);
    let error = r#"[{"error":"one: expected 1 argument, got 2"}]"#;
    answers(namespace, &[(r#"["one",1,2]"#, error)]).await;
}

#[test]
#[should_panic(expected = r#"both of the namespaces have a handler of the event "list""#)]
fn two_handlers_of_an_event_are_a_conflict() {
    let part = || Namespace::<()>::new().on("list", async || {});
    let _ = part().merge(Namespace::new().merge(part()));
}

#[test]
#[should_panic(expected = "both of the namespaces have `on_connect`")]
fn two_connect_handlers_are_a_conflict() {
    let part = || {
        Namespace::<()>::new()
            .on_connect(async || {})
            .with_state(())
    };
    let _: Namespace = part().merge(part());
}

#[test]
#[should_panic(expected = "both of the namespaces set `order`, to different values")]
fn different_values_of_an_option_are_a_conflict() {
    let part = |order| {
        let namespace = Namespace::<()>::new().unhandled(Unhandled::Silent);
        namespace.order(order)
    };
    let equal = part(Order::Started).merge(part(Order::Started));
    let _ = equal.merge(part(Order::Completed));
}
