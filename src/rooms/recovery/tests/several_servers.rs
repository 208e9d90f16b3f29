//! Servers that share a store: the order of their events, and clients that come back to another server.

use std::future::IntoFuture;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::*;
use crate::rooms::recovery::Position;

/// Returns an engine, its two servers, and a client of the first that is in a room and has seen an event.
async fn two_servers() -> (Engine, [(TestApp, SocketIo); 2], TestClient) {
    let engine = Engine::default();
    let servers = [1, 2].map(|_| serve(Some(&engine), Namespace::new()));
    let [(app, io), _] = &servers;
    let client = app.connect("/").await.unwrap();
    io.socket(client.id()).unwrap().join("room");
    io.emit("n", 0);
    assert_eq!(client.next::<u32>("n").await, 0);
    (engine, servers, client)
}

#[tokio::test(start_paused = true)]
async fn servers_of_one_engine_deliver_in_one_order() {
    let engine = Engine::default();
    let servers = [1, 2].map(|_| serve(Some(&engine), Namespace::new()));
    let [(app, io), (other_app, other_io)] = &servers;
    let mut client = app.connect("/").await.unwrap();
    let other = other_app.connect("/").await.unwrap();
    for round in 0..3 {
        io.emit("n", 3 * round);
        other_io.emit("n", 3 * round + 1);
        io.local().emit("n", 100);
        io.emit("n", 3 * round + 2);
    }
    let of_all: Vec<u32> = (0..9).collect();
    assert_eq!(numbers(&other, other_io).await, of_all);
    let mut here = numbers(&client, io).await;
    assert_eq!(here.iter().filter(|number| **number == 100).count(), 3);
    here.retain(|number| *number != 100);
    assert_eq!(here, of_all);
    client.cut().await;
    other_io.emit("n", 9);
    io.emit("n", 10);
    client = come_back(app, &client).await;
    assert!(client.recovered());
    assert_eq!(numbers(&client, io).await, [9, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_client_recovers_at_another_server() {
    let (engine, [(_, io), (other_app, other_io)], client) = two_servers().await;
    client.cut().await;
    // The other server has no client yet, so it keeps no events: they are read in pages.
    for number in 1..4 {
        io.to("room").emit("n", number);
        other_io.to("elsewhere").emit("n", 100);
        io.to("room").except("room").emit("n", 101);
    }
    other_io.emit("n", 4);
    io.to(client.id()).emit("n", 5);
    sleep(2 * DELAY).await;
    let coming = other_app.connect("/").coming_back_as(&client);
    let (again, ()) = tokio::join!(coming.into_future(), async {
        // These are emitted while the pages are read.
        for number in 6..8 {
            sleep(DELAY + DELAY / 2).await;
            io.to("room").emit("n", number);
        }
    });
    let again = again.unwrap();
    assert!(again.recovered() && again.id() == client.id());
    assert!(engine.0.lock().reads > 2);
    let socket = other_io.socket(again.id()).unwrap();
    assert!(socket.is_in("room"));
    sleep(3 * DELAY).await;
    let expected: Vec<_> = (1..8).collect();
    assert_eq!(numbers(&again, &other_io).await, expected);
    again.cut().await;
    io.to("room").emit("n", 8);
    let back = come_back(&other_app, &again).await;
    assert!(back.recovered());
    assert_eq!(numbers(&back, &other_io).await, [8]);
}

#[tokio::test(start_paused = true)]
async fn a_client_recovers_at_a_server_that_has_just_started() {
    let (engine, [(_, io), _], client) = two_servers().await;
    client.cut().await;
    io.to("room").emit("n", 1);
    sleep(2 * DELAY).await;
    let (app, io) = serve(Some(&engine), Namespace::new());
    let again = come_back(&app, &client).await;
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_known_to_be_lost_ends_when_another_server_has_the_session() {
    let (engine, [(_, io), (other_app, other_io)], client) = two_servers().await;
    let again = come_back(&other_app, &client).await;
    assert!(again.recovered());
    client.disconnected().await;
    assert!(io.socket(client.id()).is_none());
    assert_eq!(engine.sessions(), 1);
    io.to("room").emit("n", 1);
    assert_eq!(numbers(&again, &other_io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_events_are_gone_gets_a_new_socket() {
    let (engine, [(_, io), (other_app, other_io)], client) = two_servers().await;
    client.cut().await;
    for number in 1..4 {
        io.emit("n", number);
    }
    sleep(2 * DELAY).await;
    engine.0.lock().trimmed = Position(6);
    let again = come_back(&other_app, &client).await;
    assert!(!again.recovered() && again.id() != client.id());
    assert!(numbers(&again, &other_io).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_search_without_an_answer_makes_a_new_socket() {
    for condition in [Condition::Down, Condition::Silent] {
        let (engine, [(_, _), (other_app, _)], client) = two_servers().await;
        client.cut().await;
        engine.set(condition);
        let again = other_app.connect("/").coming_back_as(&client);
        assert!(!again.await.unwrap().recovered());
        // The session is still there.
        engine.set(Condition::Works);
        let again = come_back(&other_app, &client).await;
        assert!(again.recovered());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_the_search_changes_nothing() {
    let (_, [(_, io), (other_app, other_io)], client) = two_servers().await;
    client.cut().await;
    io.to("room").emit("n", 1);
    for wait in [DELAY / 2, DELAY + DELAY / 2, 2 * DELAY + DELAY / 2] {
        let attempt = tokio::spawn(other_app.connect("/").coming_back_as(&client).into_future());
        sleep(wait).await;
        attempt.abort();
        sleep(10 * DELAY).await;
    }
    let again = come_back(&other_app, &client).await;
    assert!(again.recovered());
    assert_eq!(numbers(&again, &other_io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_not_resumed_elsewhere_after_an_event_without_a_position() {
    let (engine, [(_, io), (other_app, _)], client) = two_servers().await;
    engine.set(Condition::Down);
    io.emit("n", 1);
    assert_eq!(client.next::<u32>("n").await, 1);
    engine.set(Condition::Works);
    io.to("elsewhere").emit("n", 2);
    sleep(2 * DELAY).await;
    client.cut().await;
    let again = come_back(&other_app, &client).await;
    assert!(!again.recovered());
}

#[tokio::test(start_paused = true)]
async fn of_two_searches_at_once_one_finds_the_session() {
    let (_, [(_, io), (other_app, other_io)], client) = two_servers().await;
    let id = client.id();
    client.cut().await;
    io.to("room").emit("n", 1);
    let one = other_app.connect("/").coming_back_as(&client);
    let other = other_app.connect("/").coming_back_as(&client);
    let (one, other) = tokio::join!(one.into_future(), other.into_future());
    let clients = [one.unwrap(), other.unwrap()];
    let recovered: Vec<_> = clients.iter().filter(|client| client.recovered()).collect();
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0].id(), id);
    assert_eq!(numbers(recovered[0], &other_io).await, [1]);
    assert_eq!(other_io.local().count().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_a_server_that_shuts_down_recovers_at_another() {
    let (_, [(_, io), (other_app, other_io)], client) = two_servers().await;
    io.to("room").emit("n", 1);
    io.close();
    client.disconnected().await;
    other_io.to("room").emit("n", 2);
    let again = come_back(&other_app, &client).await;
    assert!(again.recovered());
    assert_eq!(numbers(&again, &other_io).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_during_a_search_leaves_the_session() {
    let (engine, [_, (other_app, other_io)], client) = two_servers().await;
    client.cut().await;
    let attempt = tokio::spawn(other_app.connect("/").coming_back_as(&client).into_future());
    sleep(DELAY / 2).await;
    other_io.close();
    assert!(attempt.await.unwrap().is_err());
    other_io.closed().await;
    assert_eq!((engine.sessions(), engine.claims()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn clients_that_come_at_once_read_the_log_together() {
    let engine = Engine::default();
    let [(app, io), (other_app, other_io)] = [1, 2].map(|_| serve(Some(&engine), Namespace::new()));
    let mut clients = Vec::new();
    for number in 0..6 {
        let client = app.connect("/").await.unwrap();
        io.emit("n", number);
        assert_eq!(client.next::<u32>("n").await, number);
        client.cut().await;
        clients.push(client);
    }
    for number in 6..10 {
        io.emit("n", number);
    }
    sleep(2 * DELAY).await;
    // The first client misses most, and one has seen what is not stored any more.
    engine.0.lock().trimmed = Position(4);
    let coming = clients.iter().map(|client| {
        let coming = other_app.connect("/").coming_back_as(client);
        coming.into_future()
    });
    let again = join_all(coming).await;
    for (client, seen) in again.iter().zip(0..) {
        let client = client.as_ref().unwrap();
        assert_eq!(client.recovered(), seen > 0);
        let missed: Vec<_> = (seen + 1..10).filter(|_| seen > 0).collect();
        assert_eq!(numbers(client, &other_io).await, missed);
    }
    // Each on its own would need seventeen reads.
    let reads = engine.0.lock().reads;
    assert!(reads < 10, "{reads}");
}
