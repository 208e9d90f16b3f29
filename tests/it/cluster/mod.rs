//! Several servers that act as one, and the messages between them.

mod peers;
#[path = "../../cluster/two_servers.rs"]
mod two_servers;
mod wire;

use std::collections::HashMap;
use std::future::{pending, ready};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum_socketio::cluster::{AdapterError, LocalCluster};
use axum_socketio::config::Recovery;
use axum_socketio::emit::{AckError, ServerAnswers, ServerSideEvent};
use axum_socketio::extract::{Binary, RawArgs};
use axum_socketio::{
    Data, Event, Limits, Namespace, NamespaceHandle, Reply, Sid, Socket, SocketIo, SocketIoBuilder,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::Logs;
use two_servers::{act_as_one, app, connect, connect_to, last_events_arrive, server};

/// The messages that the servers of a test have received, each with the number of the server.
type Heard = mpsc::UnboundedReceiver<(usize, Value)>;

/// Creates servers of a cluster that join rooms and answer each other.
fn servers<const N: usize>(
    set: impl Fn(SocketIoBuilder<usize>) -> SocketIoBuilder<usize>,
) -> ([SocketIo; N], Heard) {
    let cluster = LocalCluster::new();
    let (sender, heard) = mpsc::unbounded_channel();
    let servers = std::array::from_fn(|number| {
        let sender = sender.clone();
        let namespace = Namespace::<usize>::new()
            .on("join", async |socket: Socket, Data(room): Data<String>| {
                socket.join(room);
            })
            .on_server(
                "hello",
                move |State(number): State<usize>, Data(said): Data<Value>| {
                    let _ = sender.send((number, said));
                    ready(Json(number))
                },
            )
            .on_server(
                "sum",
                async |State(number): State<usize>, bytes: Option<Data<Bytes>>| {
                    Json(bytes.map_or(0, |Data(bytes)| bytes.len()) + number)
                },
            )
            .on_server("panic", async |State(number): State<usize>| {
                assert_eq!(number, 0, "on purpose");
                Json(number)
            })
            .on_server("panic at once", |State(number): State<usize>| {
                assert_eq!(number, 0, "on purpose");
                ready(Json(number))
            })
            .on_server("never", async |State(number): State<usize>| {
                if number == 1 {
                    pending::<()>().await;
                }
                Json(number)
            });
        let rooms = Namespace::new().on_server("where", async |event: ServerSideEvent| {
            Json(event.nsp().to_owned())
        });
        set(SocketIo::builder().cluster(cluster.clone()))
            .namespace("/", namespace)
            .namespace("/rooms-{id}", rooms)
            .with_state(number)
            .build()
    });
    (servers, heard)
}

#[tokio::test(start_paused = true)]
async fn two_servers_act_as_one() {
    let cluster = LocalCluster::new();
    let (one, two) = (server(cluster.clone()), server(cluster));
    act_as_one(&one, &two).await;
}

#[tokio::test(start_paused = true)]
async fn servers_with_a_namespace_are_counted() {
    let ([one, two], _heard) = servers(|io| io);
    assert_eq!(one.of("/").server_count().await.unwrap(), 2);
    // A namespace of a pattern is on the servers to which a client has connected.
    assert_eq!(one.of("/rooms-{id}").server_count().await.unwrap(), 2);
    assert_eq!(one.of("/rooms-1").server_count().await.unwrap(), 0);
    let _eve = connect_to(&two, "/rooms-1").await;
    assert_eq!(one.of("/rooms-1").server_count().await.unwrap(), 1);
    let alone = SocketIo::builder().namespace("/", Namespace::new()).build();
    assert_eq!(alone.of("/").server_count().await.unwrap(), 1);
    let unknown = alone.of("/unknown").server_count().await;
    assert!(matches!(unknown, Err(AdapterError::NoNamespace(_))));
    two.close();
    two.closed().await;
    assert_eq!(one.of("/").server_count().await.unwrap(), 1);
}

/// The servers of one process may have runtimes of their own.
#[tokio::test]
async fn the_last_events_of_a_runtime_arrive() {
    let cluster = LocalCluster::new();
    let one = server(cluster.clone());
    last_events_arrive(&one, ready(cluster)).await;
}

#[tokio::test(start_paused = true)]
async fn handshakes_of_sockets_here_and_elsewhere_can_be_read() {
    let ([one, two], _heard) = servers(|io| io);
    let auth = json!({ "token": "secret" });
    let mut clients = Vec::new();
    for io in [&one, &two] {
        let connect = app(io).connect("/").query("color=red&a=%20b");
        let connect = connect.header("x-name", "Ann").auth(&auth);
        clients.push(connect.await.unwrap());
    }
    let sockets = one.fetch_sockets().await.unwrap();
    assert_eq!(sockets.len(), 2);
    for socket in sockets {
        let handshake: Value = socket.handshake().unwrap();
        assert_eq!(handshake["auth"], auth);
        assert_eq!(handshake["query"]["color"], "red");
        assert_eq!(handshake["query"]["a"], " b");
        assert_eq!(handshake["headers"]["x-name"], "Ann");
        assert!(
            handshake["url"]
                .as_str()
                .unwrap()
                .starts_with("/socket.io/?")
        );
        assert!(handshake["issued"].is_u64());
    }
}

#[tokio::test(start_paused = true)]
async fn clients_of_all_servers_answer_whatever_their_own_servers_ask() {
    let ([one, two], _heard) = servers(|io| io);
    let (ann, bob) = (connect(&one).await, connect(&two).await);
    let asked =
        [one.clone(), two.clone()].map(|io| io.emit_with_ack::<u8>("who", io.client_count()));
    for (client, answer) in [(&ann, 1_u8), (&bob, 2)] {
        for _ in 0..2 {
            let question = client.next_with_ack::<Value>("who").await;
            question.ack(answer).await;
        }
    }
    for asked in asked {
        let (mut answers, summary) = asked.all().await;
        answers.sort_by_key(|(_, answer)| *answer);
        assert_eq!(answers, [(ann.id(), 1), (bob.id(), 2)]);
        assert!(summary.missing.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn server_events_reach_the_other_servers_only() {
    let ([one, _two, _three], mut heard) = servers(|io| io);
    assert!(one.server_side_emit("hello", json!({ "é": 1 })).ok());
    let mut who = [heard.recv().await.unwrap(), heard.recv().await.unwrap()];
    who.sort_by_key(|(number, _)| *number);
    assert_eq!(who, [(1, json!({ "é": 1 })), (2, json!({ "é": 1 }))]);
    one.server_side_emit("nobody handles this", ());
    tokio::task::yield_now().await;
    assert!(heard.try_recv().is_err());
}

fn parts(answers: ServerAnswers<usize>) -> (Vec<usize>, usize) {
    parts_of(answers)
}

fn parts_of<R>(answers: ServerAnswers<R>) -> (Vec<R>, usize) {
    (answers.answers, answers.missing)
}

#[tokio::test(start_paused = true)]
async fn servers_answer_each_other() {
    let ([one, two, three], _heard) = servers(|io| io);
    let asked = one.server_side_emit_with_ack("sum", Bytes::from_static(&[7; 100]));
    assert_eq!(parts(asked.await.unwrap()), (vec![101, 102], 0));
    drop(three);
    let asked = two.server_side_emit_with_ack("sum", Bytes::new());
    assert_eq!(parts(asked.await.unwrap()), (vec![0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_missing() {
    let ([one, _two, three], _heard) = servers(|io| io);
    let asked = one
        .of("/")
        .server_timeout(Duration::from_secs(1))
        .server_side_emit_with_ack("never", ());
    assert_eq!(parts(asked.await.unwrap()), (vec![2], 1));
    for event in ["panic", "panic at once"] {
        let asked = three.server_side_emit_with_ack(event, ());
        assert_eq!(parts(asked.await.unwrap()), (vec![0], 1));
    }
    let asked = one.server_side_emit_with_ack("nobody handles this", ());
    assert_eq!(parts(asked.await.unwrap()), (vec![], 2));
    let asked = one.server_side_emit_with_ack::<String>("sum", ());
    assert!(matches!(asked.await, Err(AckError::Decode(_))));
}

#[tokio::test(start_paused = true)]
async fn failures_of_server_event_handlers_are_logged_up_to_the_limit() {
    let logs = Logs::collect("warn");
    let cluster = LocalCluster::new();
    let [one, two] = [5, 100].map(|max| {
        let namespace = Namespace::new()
            .on_server("panic", async || {
                if true {
                    panic!("on purpose")
                }
            })
            .on_server("unanswerable", async || Json(HashMap::from([((1, 2), 3)])))
            .on_server("failing", async || Err::<(), _>("no disk"))
            .on_server("mistyped", async |_: Data<String>| {});
        let io = SocketIo::builder()
            .cluster(cluster.clone())
            .limits(Limits::new().max_log_records(max));
        io.namespace("/news", namespace).build()
    });
    let ask = async |io: &SocketIo, event| {
        let asked = io.of("/news").server_side_emit_with_ack::<u8>(event, ());
        assert_eq!(asked.await.unwrap().missing, 1);
    };
    for _ in 0..10 {
        ask(&two, "panic").await;
    }
    let named = |event: &str| {
        let mut records = logs.with(&format!("event={event:?}"));
        records.retain(|record| record.contains("nsp=\"/news\""));
        records.len()
    };
    assert_eq!(named("panic"), 5, "{:?}", logs.records());
    assert_eq!(one.metrics().hook_panics["on_server"], 10);
    ask(&one, "unanswerable").await;
    assert_eq!(named("unanswerable"), 1, "{:?}", logs.records());
    assert_eq!(two.metrics().server_errors["serialize"], 1);
    ask(&one, "failing").await;
    ask(&one, "mistyped").await;
    for error in ["no disk", "mistyped: expected 1 argument, got 0"] {
        assert_eq!(logs.with(error).len(), 1, "{:?}", logs.records());
    }
    assert_eq!(two.metrics().server_errors["handler"], 1);
    assert_eq!(two.metrics().server_errors["extractor"], 1);
}

#[tokio::test(start_paused = true)]
async fn events_between_servers_follow_the_rule_of_arguments() {
    let cluster = LocalCluster::new();
    let [one, two] = [false, true].map(|strict| {
        let namespace = Namespace::new()
            .on_server("two", async |Data((a, b)): Data<(u8, u8)>| Reply((a, b)))
            .on_server("one", async |Json(list): Json<Vec<u8>>| Json(list))
            .on_server("none", async |args: RawArgs, Event(name): Event| {
                assert_eq!((args.attachments().len(), &*name), (1, "none"));
            });
        let namespace = if strict {
            namespace.strict_arguments()
        } else {
            namespace
        };
        let io = SocketIo::builder().cluster(cluster.clone());
        io.namespace("/", namespace).build()
    });
    let asked = one.server_side_emit_with_ack("two", [1, 2]);
    assert_eq!(parts_of(asked.await.unwrap()), (vec![(1, 2)], 0));
    let asked = one.server_side_emit_with_ack("one", vec![1, 2]);
    assert_eq!(parts_of(asked.await.unwrap()), (vec![vec![1, 2]], 0));
    let asked = one.server_side_emit_with_ack("none", Binary::from(vec![1]));
    assert_eq!(parts_of(asked.await.unwrap()), (vec![()], 0));
    // The first server ignores a third argument, and the second one rejects it.
    let asked = two.server_side_emit_with_ack("two", (1, 2, 3));
    assert_eq!(parts_of(asked.await.unwrap()), (vec![(1, 2)], 0));
    let asked = one.server_side_emit_with_ack::<(u8, u8)>("two", (1, 2, 3));
    assert_eq!(parts_of(asked.await.unwrap()), (vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_alone_has_nobody_to_ask() {
    let io = SocketIo::builder().build();
    assert!(io.server_side_emit("hello", ()).ok());
    let asked = io.server_side_emit_with_ack("hello", ());
    assert_eq!(parts(asked.await.unwrap()), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn dynamic_namespaces_receive_server_events() {
    let ([one, two], _heard) = servers(|io| io);
    let _ann = app(&one).connect("/rooms-1").await.unwrap();
    let bob = app(&two).connect("/rooms-1").await.unwrap();
    let ask = |at: NamespaceHandle| at.server_side_emit_with_ack::<String>("where", ());
    let answers = ask(one.of("/rooms-1")).await.unwrap();
    assert_eq!(answers.answers, ["/rooms-1"]);
    bob.disconnect().await;
    while two.of("/rooms-{id}").count().await.unwrap() > 1 {
        tokio::task::yield_now().await;
    }
    let answers = ask(two.of("/rooms-1")).await.unwrap();
    assert_eq!(answers.answers, ["/rooms-1"], "also from where it is not");
    assert_eq!(ask(one.of("/rooms-1")).await.unwrap().answers.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_server_keeps_what_its_own_clients_miss() {
    let ([one, two], _heard) = servers(|io| io.recovery(Recovery::new()));
    let _ann = connect(&one).await;
    let app = app(&two);
    let bob = app.connect("/").await.unwrap();
    one.emit("news", 1);
    assert_eq!(bob.next::<u8>("news").await, 1);
    bob.cut().await;
    one.emit("news", 2);
    let bob = app.connect("/").coming_back_as(&bob).await.unwrap();
    assert!(bob.recovered());
    assert_eq!(bob.next::<u8>("news").await, 2);
}

#[test]
fn arguments_that_cannot_be_sent_are_an_error() {
    struct Bad;
    impl serde::Serialize for Bad {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let io = SocketIo::builder().build();
    assert!(!io.server_side_emit("x", Bad).ok());
}

#[tokio::test(start_paused = true)]
async fn dynamic_namespaces_of_other_servers_are_reached() {
    let ([one, two], _heard) = servers(|io| io);
    let bob = app(&two).connect("/rooms-1").await.unwrap();
    for place in ["/rooms-1", "/rooms-{id}"] {
        one.of(place).emit("hey", place);
        assert_eq!(bob.next::<String>("hey").await, place);
        assert_eq!(one.of(place).count().await.unwrap(), 1);
        let asking = one.of(place).emit_with_ack::<u8>("q", ());
        bob.next_with_ack::<()>("q").await.ack(7_u8).await;
        assert_eq!(asking.all().await.0, [(bob.id(), 7)]);
    }
    one.of("/rooms-2").emit("hey", ());
    bob.expect_no("hey").await;
    one.of("/rooms-{id}").disconnect();
    bob.disconnected().await;
}

#[tokio::test(start_paused = true)]
async fn a_pattern_means_what_was_made_for_it_and_nothing_else_that_fits() {
    let cluster = LocalCluster::new();
    let server = || {
        let io = SocketIo::builder()
            .cluster(cluster.clone())
            .namespace("/admin", Namespace::new())
            .namespace("/a-{id}", Namespace::new())
            .namespace("/{tenant}", Namespace::new());
        io.build()
    };
    let (one, two) = (server(), server());
    let others = [("/admin", &one), ("/admin", &two), ("/a-1", &two)];
    let mut apart = Vec::new();
    for (name, io) in others {
        apart.push(app(io).connect(name).await.unwrap());
    }
    let tenant = app(&two).connect("/acme").await.unwrap();
    for io in [&one, &two] {
        io.of("/{tenant}").emit("news", 1);
        assert_eq!(tenant.next::<u8>("news").await, 1);
        assert_eq!(io.of("/{tenant}").count().await.unwrap(), 1);
    }
    one.of("/{tenant}").disconnect();
    tenant.disconnected().await;
    for client in &apart {
        client.expect_no("news").await;
    }
    assert_eq!(two.of("/admin").count().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn emits_to_namespaces_of_other_servers_create_none_here() {
    let cluster = LocalCluster::new();
    let server = || {
        let io = SocketIo::builder()
            .cluster(cluster.clone())
            .recovery(Recovery::new())
            .limits(Limits::new().max_dynamic_namespaces(1))
            .namespace("/rooms-{id}", Namespace::new());
        io.build()
    };
    let (one, two) = (server(), server());
    let (here, there) = (app(&one), app(&two));
    let away = here.connect("/rooms-1").await.unwrap();
    away.cut().await;
    let other = there.connect("/rooms-2").await.unwrap();
    for place in ["/rooms-{id}", "/rooms-2"] {
        one.of(place).emit("news", 1);
        assert_eq!(other.next::<u8>("news").await, 1);
    }
    let again = here
        .connect("/rooms-1")
        .coming_back_as(&away)
        .await
        .unwrap();
    assert!(again.recovered());
    assert_eq!(again.next::<u8>("news").await, 1);
}

#[tokio::test(start_paused = true)]
async fn deliveries_are_counted_by_the_server_that_delivers() {
    for recovery in [None, Some(Recovery::new())] {
        let ([one, two], _heard) = servers(|io| match recovery {
            Some(recovery) => io.recovery(recovery),
            None => io,
        });
        let (ann, bob) = (connect(&one).await, connect(&two).await);
        one.emit("news", 1);
        let asking = one.of("/").emit_with_ack::<()>("news", 2);
        for client in [&ann, &bob] {
            assert_eq!(client.next::<u8>("news").await, 1);
            assert_eq!(client.next::<u8>("news").await, 2);
        }
        drop(asking);
        for io in [one, two] {
            assert_eq!(io.metrics().deliveries, 2);
        }
    }
}

#[test]
fn without_a_runtime_only_handlers_that_do_not_wait_answer() {
    let ([one, _two], _heard) = servers(|io| io);
    for (event, expected) in [("hello", (vec![1], 0)), ("never", (vec![], 1))] {
        let asked = one.server_side_emit_with_ack::<usize>(event, 1);
        let asked = futures_util::FutureExt::now_or_never(asked.into_future());
        assert_eq!(parts(asked.unwrap().unwrap()), expected, "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_shut_down_is_no_part_of_it_any_more() {
    let ([one, two], _heard) = servers(|io| io);
    let bob = connect(&two).await;
    two.close();
    two.closed().await;
    bob.disconnected().await;
    let asked = one.server_side_emit_with_ack("hello", 1);
    assert_eq!(parts(asked.await.unwrap()), (vec![], 0));
    assert_eq!(one.of("/").count().await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_a_namespace_elsewhere_does_not_join_it() {
    let ([one, two], _heard) = servers(|io| io);
    let _bob = app(&two).connect("/rooms-1").await.unwrap();
    // The sockets that are found keep the namespace of the search alive.
    let found = one.of("/rooms-1").fetch_sockets().await.unwrap();
    assert_eq!(found.len(), 1);
    let ask = |io: &SocketIo| {
        let asked = io.of("/rooms-1");
        asked.server_side_emit_with_ack::<String>("where", ())
    };
    assert_eq!(ask(&two).await.unwrap().answers.len(), 0);
    let _ann = app(&one).connect("/rooms-1").await.unwrap();
    assert_eq!(ask(&two).await.unwrap().answers.len(), 1);
    assert_eq!(ask(&one).await.unwrap().answers.len(), 1);
    one.close();
    one.closed().await;
    assert_eq!(ask(&two).await.unwrap().answers.len(), 0);
    drop(found);
}

#[tokio::test(start_paused = true)]
async fn local_selections_ask_no_other_server() {
    let ([one, two], _heard) = servers(|io| io);
    let bob = app(&two).connect("/rooms-1").await.unwrap();
    for place in ["/rooms-1", "/rooms-{id}"] {
        assert_eq!(one.of(place).local().count().await.unwrap(), 0);
        assert!(one.of(place).socket(bob.id()).is_none());
        assert!(two.of(place).socket(bob.id()).is_some());
        assert_eq!(one.of(place).disconnect_where(|_| true), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn events_beyond_the_queue_of_another_server_are_lost_and_logged() {
    let logs = Logs::collect("warn");
    let ([one, two], _heard) = servers(|io| io);
    let bob = connect(&two).await;
    let large = "x".repeat(1024 * 1024);
    // No other task runs meanwhile.
    for _ in 0..70 {
        one.to(Sid::UNNAMED).emit("large", &large);
    }
    let lost = logs.with("message to other servers lost").len();
    assert_eq!(
        lost,
        70 - 63,
        "a message has some bytes more than its argument"
    );
    tokio::task::yield_now().await;
    one.emit("news", 1);
    assert_eq!(bob.next::<u8>("news").await, 1);
}
