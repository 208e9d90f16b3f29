//! The recipients of broadcasts, and the acknowledgements that return.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axum_socketio::emit::AckError;
use axum_socketio::rooms::RoomEvent;
use axum_socketio::{Data, Limits, Namespace, Sid, Socket, SocketIo, Timeouts};

use super::with;
use crate::support::{Clock, Polling, Server, Ws, within};

/// Starts a server with three clients in rooms: `a` in x, `b` in x and y, `c` in none.
async fn three() -> (Server, SocketIo, [Ws; 3]) {
    let namespace = Namespace::new()
        .on(
            "join",
            async |socket: Socket, Data(rooms): Data<Vec<String>>| socket.join(rooms),
        )
        .on("others", async |socket: Socket| {
            drop(socket.broadcast().emit("hey", ()))
        })
        .on("volatile", async |socket: Socket| {
            drop(socket.volatile().to("x").except("y").emit("hey", ()))
        })
        .on("room", async |socket: Socket, Data(room): Data<String>| {
            drop(socket.to(room).emit("hey", ()))
        });
    let (server, io) = with(namespace).await;
    let mut clients = [
        Ws::joined(server.addr).await,
        Ws::joined(server.addr).await,
        Ws::joined(server.addr).await,
    ];
    clients[0].ask(r#"["join",["x"]]"#).await;
    clients[1].ask(r#"["join",["x","y"]]"#).await;
    (server, io, clients)
}

/// Returns the names of the clients that have received `hey`. All of them receive the end.
async fn heard(io: &SocketIo, clients: &mut [Ws; 3]) -> String {
    io.emit("end", ());
    let mut heard = String::new();
    for (client, name) in clients.iter_mut().zip(["a", "b", "c"]) {
        while client.text().await != r#"42["end"]"# {
            heard.push_str(name);
        }
    }
    heard
}

#[tokio::test]
async fn a_broadcast_reaches_each_of_its_target_once() {
    let (_server, io, mut clients) = three().await;
    io.emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "abc");
    io.to("x").emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "ab");
    io.to(["x", "y"]).emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "ab");
    io.to("x").except("y").emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "a");
    io.except("x").emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "c");
    io.local().to("y").emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "b");
    let (list, array) = (vec!["y"], ["y".to_owned(), "z".to_owned()]);
    io.to(&list).to(list).emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "b");
    io.to(&array).to(array).emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "b");
    io.to(HashSet::from(["x".to_owned()])).emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "ab");
    io.volatile().to("y").emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "b");
}

#[tokio::test]
async fn a_sockets_own_broadcast_leaves_it_out() {
    let (_server, io, mut clients) = three().await;
    clients[0].ask(r#"["others"]"#).await;
    assert_eq!(heard(&io, &mut clients).await, "bc");
    clients[0].ask(r#"["room","x"]"#).await;
    assert_eq!(heard(&io, &mut clients).await, "b");
    clients[2].ask(r#"["volatile"]"#).await;
    assert_eq!(heard(&io, &mut clients).await, "a");
}

#[tokio::test]
async fn sockets_are_found_moved_and_disconnected_by_their_rooms() {
    let (_server, io, mut clients) = three().await;
    let found = io.to("y").fetch_sockets().await.unwrap();
    let socket = found[0].socket().unwrap();
    assert!(socket.is_in("x") && socket.is_in("y") && socket.is_in(socket.id().as_str()));
    assert!(!socket.is_in("z"));
    let rooms: Vec<_> = found[0]
        .rooms()
        .iter()
        .skip(1)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        (found.len(), rooms),
        (1, vec!["x".to_owned(), "y".to_owned()])
    );
    found[0].emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "b");
    io.to("x").join("z");
    io.to("y").leave("z");
    io.to("z").emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "a");
    let id = found[0].id();
    assert!(io.socket(id).is_some_and(|socket| socket.connected()));
    assert_eq!(io.of("/").disconnect_where(|socket| socket.id() == id), 1);
    assert_eq!(clients[1].text().await, "41");
    assert!(io.socket(id).is_none());
    io.to("x").disconnect();
    assert_eq!(clients[0].text().await, "41");
    assert_eq!(io.of("/").fetch_sockets().await.unwrap().len(), 1);
}

#[tokio::test]
async fn many_are_asked_and_who_is_missing_is_known() {
    let (_server, io, mut clients) = three().await;
    let mut asking = io
        .of("/")
        .timeout(Duration::from_millis(200))
        .emit_with_ack::<u8>("vote", ());
    for (client, answer) in clients.iter_mut().zip(["430[1]", "430[\"no number\"]"]) {
        assert_eq!(client.text().await, r#"420["vote"]"#);
        client.send(answer).await;
    }
    let (_, vote) = within("an answer", asking.next()).await.unwrap();
    assert_eq!(vote, 1);
    assert!(within("the timeout", asking.next()).await.is_none());
    let summary = asking.summary();
    assert_eq!((summary.asked, summary.answered), (3, 2));
    assert_eq!(
        (
            summary.missing.len(),
            summary.unreadable.len(),
            summary.left.len()
        ),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn the_ack_of_a_client_that_leaves_is_not_awaited() {
    let (_server, io, mut clients) = three().await;
    let asking = io.of("/").no_timeout().emit_with_ack::<u8>("vote", ());
    clients[0].text().await;
    clients[0].send("430[1]").await;
    clients[1].send("41").await;
    let [_, _, last] = clients;
    drop(last);
    let (answers, summary) = within("the end", asking.all()).await;
    assert_eq!(
        (answers.len(), summary.left.len(), summary.missing.len()),
        (1, 2, 0)
    );
}

#[tokio::test]
async fn nobody_answers_at_once() {
    let (_server, io, _clients) = three().await;
    let (answers, summary) = within(
        "the end",
        io.to("empty").emit_with_ack::<u8>("vote", ()).all(),
    )
    .await;
    assert_eq!((answers.len(), summary.asked), (0, 0));
}

#[tokio::test]
async fn one_is_asked_and_may_fail_to_answer() {
    let (_server, io, mut clients) = three().await;
    let socket =
        |sockets: Vec<axum_socketio::emit::RemoteSocket>| io.socket(sockets[0].id()).unwrap();
    let b = socket(io.to("y").fetch_sockets().await.unwrap());
    let late = b
        .timeout(Duration::from_millis(20))
        .emit_with_ack::<u8>("q", ())
        .await;
    assert!(matches!(late, Err(AckError::Timeout)));
    let asking = b.emit_with_ack::<u8>("q", ());
    clients[1].text().await;
    clients[1].text().await;
    clients[1].send(r#"431["text"]"#).await;
    assert!(matches!(asking.await, Err(AckError::Decode(_))));
    let asking = b.emit_with_ack::<u8>("q", ());
    clients[1].send("41").await;
    assert!(matches!(
        within("the end", asking).await,
        Err(AckError::Closed)
    ));
    assert!(!b.emit("late", ()).ok());
}

#[tokio::test]
async fn the_ack_timeout_is_the_servers_unless_an_emit_has_its_own() {
    let (_server, io, mut clients) = three().await;
    let found = io.to("y").fetch_sockets().await.unwrap();
    let socket = io.socket(found[0].id()).unwrap();
    let clock = Clock::stop();
    let one = tokio::spawn(socket.emit_with_ack::<u8>("q", ()));
    let all = tokio::spawn(io.to("y").emit_with_ack::<u8>("q", ()).all());
    let patient = tokio::spawn(
        socket
            .timeout(Duration::from_secs(60))
            .emit_with_ack::<u8>("q", ()),
    );
    for _ in 0..3 {
        clients[1].text().await;
    }
    clock.advance(Duration::from_secs(4)).await;
    clients[1].ask(r#"["join",[]]"#).await;
    assert!(!one.is_finished() && !all.is_finished());
    clock.advance(Duration::from_secs(1)).await;
    let one = within("the timeout", one).await.unwrap();
    assert!(matches!(one, Err(AckError::Timeout)));
    let (_, summary) = within("the timeout", all).await.unwrap();
    assert_eq!((summary.asked, summary.missing.len()), (1, 1));
    // The answers are too late for two of the requests, and in time for the third.
    for answer in ["430[1]", "431[1]", "432[1]"] {
        clients[1].send(answer).await;
    }
    assert_eq!(within("an answer", patient).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn the_ack_of_a_client_with_a_full_outbox_is_not_awaited() {
    let namespace = Namespace::new();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_packets(1))
        .timeouts(Timeouts::new().slow_client_timeout(Duration::from_secs(60)))
        .build();
    let server = crate::support::serve(axum::Router::new().layer(io.layer())).await;
    let _full = Polling::joined(server.addr).await;
    io.emit("fills it", ());
    let asking = io.of("/").no_timeout().emit_with_ack::<u8>("q", ());
    let (answers, summary) = within("the end", asking.all()).await;
    assert_eq!(
        (answers.len(), summary.asked, summary.unsent.len()),
        (0, 1, 1)
    );
    assert!(summary.left.is_empty() && summary.missing.is_empty());
}

#[tokio::test]
async fn no_room_is_nobody() {
    let (_server, io, mut clients) = three().await;
    io.to(None::<&str>).emit("hey", ());
    io.to(Vec::<String>::new()).emit("hey", ());
    assert_eq!(io.to([""; 0]).count().await.unwrap(), 0);
    io.to(Vec::<Sid>::new()).disconnect();
    assert_eq!(heard(&io, &mut clients).await, "");
    io.to(None::<&str>)
        .to("x")
        .except(None::<&str>)
        .emit("hey", ());
    assert_eq!(heard(&io, &mut clients).await, "ab");
}

#[tokio::test]
async fn a_disconnected_socket_joins_no_room() {
    let (sender, mut left) = tokio::sync::mpsc::unbounded_channel();
    let namespace = Namespace::new().on_disconnect(move |socket: Socket| async move {
        socket.join("late");
        sender.send(socket).unwrap();
    });
    let (server, io) = with(namespace).await;
    drop(Ws::joined(server.addr).await);
    let socket = within("its end", left.recv()).await.unwrap();
    socket.join("later");
    assert_eq!(socket.rooms().len(), 1);
    let found = io.to(["late", "later"]).fetch_sockets().await.unwrap();
    assert_eq!(found.len(), 0);
}

#[tokio::test]
async fn sockets_and_rooms_are_counted() {
    let (_server, io, mut clients) = three().await;
    for (rooms, except, count) in [
        (vec![], vec![], 3),
        (vec![], vec!["y"], 2),
        (vec!["x"], vec![], 2),
        (vec!["x", "y"], vec![], 2),
        (vec!["x"], vec!["y"], 1),
        (vec!["nowhere"], vec![], 0),
    ] {
        let all = io.of("/").except(except.clone());
        let some = match rooms.as_slice() {
            [] => all,
            rooms => all.to(rooms),
        };
        assert_eq!(some.count().await.unwrap(), count, "{rooms:?} {except:?}");
    }
    let rooms = io.of("/").rooms().await.unwrap();
    let expected = [("x".into(), 2), ("y".into(), 1)];
    assert_eq!(rooms, expected.into());
    let mut events = io.of("/").room_events();
    clients[1].send("41").await;
    while !matches!(
        within("an event", events.next()).await,
        Some(RoomEvent::Deleted { .. })
    ) {}
    assert_eq!(io.of("/").count().await.unwrap(), 2);
}

#[tokio::test]
async fn room_events_arrive_in_order() {
    let (_server, io, mut clients) = three().await;
    let sockets = io.fetch_sockets().await.unwrap();
    let ids: HashMap<_, _> = sockets
        .iter()
        .map(|socket| (socket.rooms().len(), socket.id()))
        .collect();
    let (a, b, c) = (ids[&2], ids[&3], ids[&1]);
    let mut events = io.of("/").room_events();
    clients[2].ask(r#"["join",["y","new"]]"#).await;
    io.to("new").leave("new");
    io.to("y").leave("y");
    io.to(a).join("x");
    let mut told = Vec::new();
    while told.len() < 8 {
        told.push(match within("an event", events.next()).await.unwrap() {
            RoomEvent::Created { room } => format!("create {room}"),
            RoomEvent::Joined { room, id } => format!("join {room} {}", name(id, [a, b, c])),
            RoomEvent::Left { room, id } => format!("leave {room} {}", name(id, [a, b, c])),
            RoomEvent::Deleted { room } => format!("delete {room}"),
            other => panic!("{other:?}"),
        });
    }
    let expected =
        "join y c,create new,join new c,leave new c,delete new,leave y b,leave y c,delete y";
    assert_eq!(told.join(","), expected);
}

fn name(id: Sid, [a, b, c]: [Sid; 3]) -> &'static str {
    [(a, "a"), (b, "b"), (c, "c")]
        .iter()
        .find(|(known, _)| *known == id)
        .map_or("?", |(_, name)| name)
}

#[tokio::test]
async fn a_slow_receiver_of_room_events_learns_what_it_missed() {
    let (_server, io, _clients) = three().await;
    let mut events = io.of("/").room_events();
    for _ in 0..1000 {
        io.to("x").join("z");
        io.to("x").leave("z");
    }
    let first = within("an event", events.next()).await.unwrap();
    let RoomEvent::Missed(missed) = first else {
        panic!("{first:?}");
    };
    assert!(missed > 4000, "of six thousand, {missed}");
    assert!(within("an event", events.next()).await.is_some());
}
