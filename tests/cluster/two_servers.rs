//! Two servers that act as one, whatever the engine that connects them: the tests of each engine include this file.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::{Json, Router};
use axum_socketio::cluster::{HealthState, Wire};
use axum_socketio::emit::ServerSideEvent;
use axum_socketio::rooms::RoomEvent;
use axum_socketio::testing::{TestApp, TestClient};
use axum_socketio::{
    BroadcastOperator, Data, Limits, Namespace, NamespaceHandle, Sid, Socket, SocketIo,
};
use bytes::Bytes;
use tokio::time::{sleep, timeout};

/// The time in which anything that is expected has to happen.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Returns a namespace whose clients join and leave rooms, and whose servers answer each other.
pub(crate) fn namespace() -> Namespace {
    let sum = Arc::new(AtomicU64::new(0));
    let added = Arc::clone(&sum);
    Namespace::new()
        .on("join", async |socket: Socket, Data(room): Data<String>| {
            socket.join(room)
        })
        .on("leave", async |socket: Socket, Data(room): Data<String>| {
            socket.leave(room);
        })
        .on("name", async |socket: Socket, Data(name): Data<String>| {
            socket.set_data(name)
        })
        .on_server("add", async |Data((a, b)): Data<(u64, u64)>| Json(a + b))
        .on_server("where", async |event: ServerSideEvent| {
            Json(event.nsp().to_owned())
        })
        .on_server("count", move |Data(number): Data<u64>| {
            added.fetch_add(number, Ordering::Relaxed);
            ready(())
        })
        .on_server("counted", move || ready(Json(sum.load(Ordering::Relaxed))))
}

/// Creates a server with the main namespace and dynamic ones.
pub(crate) fn server(wire: impl Wire) -> SocketIo {
    SocketIo::builder()
        .cluster(wire)
        .limits(Limits::new().max_rooms(10_000))
        .namespace("/", namespace())
        .namespace("/rooms-{id}", namespace())
        .build()
}

pub(crate) fn app(io: &SocketIo) -> TestApp {
    TestApp::new(Router::new().layer(io.layer())).limit(SOON)
}

pub(crate) async fn connect(io: &SocketIo) -> TestClient {
    connect_to(io, "/").await
}

pub(crate) async fn connect_to(io: &SocketIo, nsp: &str) -> TestClient {
    app(io).connect(nsp).await.unwrap()
}

/// Emits until a client has the event: its server may not have subscribed yet.
pub(crate) async fn reaches(target: BroadcastOperator, client: &TestClient) {
    let reached = async {
        loop {
            target.emit("probe", ());
            let probe = client.next::<()>("probe");
            if timeout(Duration::from_millis(50), probe).await.is_ok() {
                break;
            }
        }
    };
    timeout(SOON, reached).await.expect("the client is reached");
}

/// Waits until a number of sockets are in rooms: a request may overtake a change, if the engine carries both on
/// different ways.
async fn has(rooms: BroadcastOperator, sockets: usize) {
    let reached = async {
        while rooms.count().await.unwrap() != sockets {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, reached)
        .await
        .expect("sockets join and leave");
}

/// Returns the number of other servers that have answered a request.
pub(crate) async fn asked(at: &NamespaceHandle) -> usize {
    let answers = at.server_side_emit_with_ack::<u64>("add", (1, 2)).await;
    answers.map_or(0, |asked| asked.answers.len())
}

/// Waits until a number of other servers answer requests.
pub(crate) async fn answered_by(at: &NamespaceHandle, others: usize) {
    let answered = async {
        while asked(at).await != others {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let answered = timeout(SOON, answered).await;
    answered.unwrap_or_else(|_| panic!("not answered by {others} servers"));
}

/// Waits until a server is connected to its engine, or not.
pub(crate) async fn becomes(io: &SocketIo, state: HealthState) {
    let reached = async {
        while io.cluster().health().unwrap().state != state {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, reached)
        .await
        .unwrap_or_else(|_| panic!("{state:?}: {:?}", io.cluster().health()));
}

/// Checks that the last events of a process arrive, whose runtime ends as soon as its server has closed.
pub(crate) async fn last_events_arrive<W: Wire>(
    at: &SocketIo,
    wire: impl Future<Output = W> + Send + 'static,
) {
    const EVENTS: usize = 1000;

    let client = connect(at).await;
    let process = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let io = server(wire.await);
            for number in 0..EVENTS {
                io.emit("last", number);
            }
            io.close();
            io.closed().await;
        });
    });
    for number in 0..EVENTS {
        assert_eq!(client.next::<usize>("last").await, number);
    }
    process.join().unwrap();
}

/// Checks all operations between two servers, and closes the second one.
pub(crate) async fn act_as_one(one: &SocketIo, two: &SocketIo) {
    let ann = connect(one).await;
    let bob = app(two).connect("/").query("color=red").await.unwrap();
    reaches(one.of("/").broadcast(), &bob).await;
    reaches(two.of("/").broadcast(), &ann).await;
    answered_by(&one.of("/"), 1).await;
    answered_by(&two.of("/"), 1).await;
    becomes(one, HealthState::Connected).await;
    assert_eq!(one.of("/").server_count().await.unwrap(), 2);
    assert_eq!(two.of("/").server_count().await.unwrap(), 2);
    events_reach_the_sockets_that_they_are_for(one, two, &ann, &bob).await;
    sockets_are_found_and_moved(one, two, &ann, &bob).await;
    clients_answer(one, &ann, &bob).await;
    servers_answer(one).await;
    dynamic_namespaces_are_reached(one, two).await;
    rooms_change_where_their_members_are(one, two, &bob).await;
    one.to(bob.id()).disconnect();
    bob.disconnected().await;
    has(one.of("/").broadcast(), 1).await;
    // A server that leaves is not awaited.
    two.close();
    two.closed().await;
    answered_by(&one.of("/"), 0).await;
    assert_eq!(one.of("/").server_count().await.unwrap(), 1);
}

async fn events_reach_the_sockets_that_they_are_for(
    one: &SocketIo,
    two: &SocketIo,
    ann: &TestClient,
    bob: &TestClient,
) {
    one.emit("news", "all");
    assert_eq!(ann.next::<String>("news").await, "all");
    assert_eq!(bob.next::<String>("news").await, "all");
    bob.emit_with_ack::<()>("join", "x").await;
    one.to("x").emit("news", (1, "x"));
    assert_eq!(bob.next::<(u8, String)>("news").await, (1, "x".to_owned()));
    two.to("x").emit("news", 2);
    assert_eq!(bob.next::<u8>("news").await, 2);
    // The second event arrives after the first, which is for nobody.
    one.to("x").except(bob.id()).emit("news", 3);
    one.to("x").except(ann.id()).emit("news", 4);
    assert_eq!(bob.next::<u8>("news").await, 4);
    one.to(["x", ann.id().as_str()]).emit("news", 5);
    assert_eq!(ann.next::<u8>("news").await, 5);
    assert_eq!(bob.next::<u8>("news").await, 5);
    let binary = Bytes::from_static(&[0, 1, 255]);
    one.to(bob.id()).emit("news", (&binary, 6));
    assert_eq!(bob.next::<(Bytes, u8)>("news").await, (binary, 6));
    one.emit("news", "x".repeat(100_000));
    assert_eq!(ann.next::<String>("news").await.len(), 100_000);
    assert_eq!(bob.next::<String>("news").await.len(), 100_000);
    one.of("/").volatile().emit("news", 7);
    assert_eq!(ann.next::<u8>("news").await, 7);
    assert_eq!(bob.next::<u8>("news").await, 7);
    one.local().emit("news", 8);
    one.emit("news", 9);
    assert_eq!(ann.next::<u8>("news").await, 8);
    assert_eq!(ann.next::<u8>("news").await, 9);
    assert_eq!(bob.next::<u8>("news").await, 9);
}

async fn sockets_are_found_and_moved(
    one: &SocketIo,
    two: &SocketIo,
    ann: &TestClient,
    bob: &TestClient,
) {
    bob.emit_with_ack::<()>("name", "Bob").await;
    for io in [one, two] {
        assert_eq!(io.of("/").count().await.unwrap(), 2);
        assert_eq!(io.to("x").count().await.unwrap(), 1);
        assert_eq!(io.of("/").rooms().await.unwrap()["x"], 1);
    }
    assert_eq!(one.local().count().await.unwrap(), 1);
    let sockets = one.to("x").fetch_sockets().await.unwrap();
    let [socket] = &sockets[..] else {
        panic!("{} sockets", sockets.len());
    };
    assert_eq!(socket.id(), bob.id());
    assert_eq!(socket.data::<String>().unwrap(), "Bob");
    let mut rooms = socket.rooms();
    rooms.sort_by_key(|room| room.to_string());
    let mut expected = [bob.id().to_string(), "x".to_owned()];
    expected.sort();
    assert_eq!(
        rooms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        expected
    );
    let handshake: serde_json::Value = socket.handshake().unwrap();
    assert_eq!(handshake["query"]["color"], "red");
    socket.emit("news", 10);
    assert_eq!(bob.next::<u8>("news").await, 10);
    // A socket that has been made to join is reached at once.
    one.to(bob.id()).join("y");
    one.to("y").emit("news", 11);
    assert_eq!(bob.next::<u8>("news").await, 11);
    one.of("/").join("all");
    for io in [one, two] {
        has(io.to("all"), 2).await;
        assert_eq!(io.of("/").rooms().await.unwrap()["all"], 2);
    }
    one.to(bob.id()).leave("all");
    has(one.to("all"), 1).await;
    one.to("y").leave("y");
    has(one.to("y"), 0).await;
    bob.emit_with_ack::<()>("leave", "x").await;
    assert_eq!(one.to("x").count().await.unwrap(), 0);
    assert_eq!(two.to(ann.id()).count().await.unwrap(), 1);
}

async fn clients_answer(one: &SocketIo, ann: &TestClient, bob: &TestClient) {
    let asking = one.emit_with_ack::<u8>("q", ());
    for (client, answer) in [(ann, 1_u8), (bob, 2)] {
        client.next_with_ack::<()>("q").await.ack(answer).await;
    }
    let (mut answers, summary) = asking.all().await;
    answers.sort_by_key(|(_, answer)| *answer);
    assert_eq!(answers, [(ann.id(), 1), (bob.id(), 2)]);
    assert_eq!((summary.missing.len(), summary.silent_servers), (0, 0));
    for (answers, silent) in [(ann, bob), (bob, ann)] {
        let limited = one.of("/").timeout(Duration::from_millis(500));
        let asking = limited.emit_with_ack::<Bytes>("q", Bytes::from_static(b"?"));
        let question = answers.next_with_ack::<Bytes>("q").await;
        question.ack(Bytes::from_static(b"!")).await;
        assert_eq!(silent.next::<Bytes>("q").await, "?");
        let (answered, summary) = asking.all().await;
        let expected: [(Sid, Bytes); 1] = [(answers.id(), Bytes::from_static(b"!"))];
        assert_eq!(answered, expected);
        assert_eq!(summary.missing, [silent.id()]);
        assert_eq!(summary.silent_servers, 0);
    }
}

async fn servers_answer(one: &SocketIo) {
    assert!(one.server_side_emit("count", 3).ok());
    assert!(one.server_side_emit("count", 4).ok());
    let counted = one.server_side_emit_with_ack::<u64>("counted", ()).await;
    assert_eq!(counted.unwrap().answers, [7]);
    let nobody = one.server_side_emit_with_ack::<u64>("unknown", ()).await;
    let nobody = nobody.unwrap();
    assert_eq!((nobody.answers.len(), nobody.missing), (0, 1));
}

async fn rooms_change_where_their_members_are(one: &SocketIo, two: &SocketIo, bob: &TestClient) {
    let mut events = [one, two].map(|io| io.of("/").room_events());
    one.to(bob.id()).join("z");
    let next = timeout(SOON, events[1].next()).await;
    let created = next.expect("the room is created");
    assert_eq!(created, Some(RoomEvent::Created { room: "z".into() }));
    let none = timeout(Duration::from_millis(50), events[0].next()).await;
    assert!(none.is_err(), "{none:?}");
}

async fn dynamic_namespaces_are_reached(one: &SocketIo, two: &SocketIo) {
    for nsp in ["/rooms-1", "/rooms-2"] {
        // The client is connected, so its server has subscribed.
        let eve = connect_to(two, nsp).await;
        one.of(nsp).emit("news", nsp);
        assert_eq!(eve.next::<String>("news").await, nsp);
        one.of("/rooms-{id}").emit("news", "all");
        assert_eq!(eve.next::<String>("news").await, "all");
        let fay = connect_to(one, nsp).await;
        answered_by(&one.of(nsp), 1).await;
        assert_eq!(one.of(nsp).count().await.unwrap(), 2);
        assert_eq!(one.of(nsp).server_count().await.unwrap(), 2);
        let asked = one.of(nsp).server_side_emit_with_ack::<String>("where", ());
        assert_eq!(asked.await.unwrap().answers, [nsp]);
        one.of(nsp).disconnect();
        eve.disconnected().await;
        fay.disconnected().await;
    }
}
