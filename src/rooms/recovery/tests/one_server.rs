//! A client that comes back to its server, which has a store or none.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};

use super::*;
use crate::sync::Lock;
use crate::{Data, Refused, Reply, Socket};

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_and_nothing_comes_twice() {
    for (app, io) in both(Namespace::new) {
        let mut client = app.connect("/").await.unwrap();
        for round in 0..3 {
            io.emit("n", round);
            assert_eq!(client.next::<u32>("n").await, round);
            client.cut().await;
            let socket = client.id();
            io.emit("n", 10 + round);
            io.to(socket).emit("n", 20 + round);
            let again = app.connect("/").coming_back_as(&client);
            let (again, ()) = tokio::join!(again.into_future(), async {
                // This is emitted while the session is claimed.
                sleep(DELAY / 2).await;
                io.emit("n", 30 + round);
            });
            client = again.unwrap();
            assert!(client.recovered());
            assert_eq!(client.id(), socket);
            let missed = [10 + round, 20 + round, 30 + round];
            assert_eq!(numbers(&client, &io).await, missed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_claimed_after_middleware_that_wait() {
    let namespace = || {
        Namespace::new().middleware(async |socket: Socket| {
            sleep(DELAY).await;
            socket.join(if socket.recovered() { "back" } else { "new" });
        })
    };
    for (app, io) in both(namespace) {
        let first = client_away(&app).await;
        io.to("new").emit("n", 1);
        let again = come_back(&app, &first).await;
        assert!(again.recovered());
        io.to("back").emit("n", 2);
        assert_eq!(numbers(&again, &io).await, [1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_middleware_refuse_leaves_the_session_as_it_was() {
    #[derive(serde::Deserialize)]
    struct Token {
        wrong: bool,
    }
    let namespace = || {
        Namespace::new().middleware(async |token: Option<crate::Auth<Token>>| {
            match token.is_some_and(|crate::Auth(token)| token.wrong) {
                true => Err(Refused::new("wrong token")),
                false => Ok(()),
            }
        })
    };
    for (app, io) in both(namespace) {
        let first = client_away(&app).await;
        io.emit("n", 1);
        let wrong = app.connect("/").coming_back_as(&first);
        let wrong = wrong.auth(serde_json::json!({ "wrong": true }));
        wrong.await.unwrap_err();
        let again = come_back(&app, &first).await;
        assert!(again.recovered());
        assert_eq!(numbers(&again, &io).await, [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_claims_at_once_one_socket_has_the_session() {
    for (app, io) in both(Namespace::new) {
        let first = app.connect("/").await.unwrap();
        let id = first.id();
        first.cut().await;
        io.emit("n", 1);
        let one = app.connect("/").coming_back_as(&first).into_future();
        let other = app.connect("/").coming_back_as(&first).into_future();
        let (one, other) = tokio::join!(one, other);
        let clients: Vec<_> = [one, other].into_iter().flatten().collect();
        let holder = io.socket(id).unwrap();
        assert!(holder.recovered() && holder.connected());
        let mut holders = 0;
        for client in clients.iter().filter(|client| client.id() == id) {
            if client.is_connected() {
                assert_eq!(numbers(client, &io).await, [1]);
                holders += 1;
            }
        }
        assert_eq!(holders, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_the_client_wait_for_the_claim() {
    let namespace = || {
        Namespace::new().on("echo", async |socket: Socket, Data(text): Data<String>| {
            Reply((socket.recovered(), text))
        })
    };
    for (app, _) in both(namespace) {
        let first = client_away(&app).await;
        let again = come_back(&app, &first).await;
        let answer: (bool, String) = again.emit_with_ack("echo", "hi").await;
        assert_eq!(answer, (true, "hi".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_without_an_answer_makes_a_new_socket() {
    for condition in [Condition::Down, Condition::Silent] {
        let (engine, asked) = (Engine::default(), Arc::new(Lock::new(0)));
        let counter = Arc::clone(&asked);
        let namespace = Namespace::new().middleware(async move || *counter.lock() += 1);
        let (app, io) = serve(Some(&engine), namespace);
        let first = client_away(&app).await;
        io.emit("n", 1);
        sleep(2 * DELAY).await;
        engine.set(condition);
        let began = Instant::now();
        let again = come_back(&app, &first).await;
        assert!(!again.recovered() && again.id() != first.id());
        assert!(began.elapsed() < LIMIT + DELAY, "{condition:?}");
        assert!(numbers(&again, &io).await.is_empty());
        // Middleware are asked about the new socket too.
        assert_eq!(*asked.lock(), 3);
        engine.set(Condition::Works);
        sleep(2 * DELAY).await;
        io.emit("n", 2);
        assert_eq!(again.next::<u32>("n").await, 2);
        again.cut().await;
        io.emit("n", 3);
        let back = come_back(&app, &again).await;
        assert!(back.recovered());
        assert_eq!(numbers(&back, &io).await, [3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_another_server_has_claimed_is_gone() {
    let (engine, app, io) = with_store();
    let first = app.connect("/").await.unwrap();
    assert_eq!(engine.sessions(), 1);
    engine.0.lock().sessions.clear();
    let again = come_back(&app, &first).await;
    assert!(!again.recovered() && again.id() != first.id());
    // A client that cannot resume the session does not end the socket that has it.
    assert!(io.socket(first.id()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_the_claim_may_come_again() {
    let (engine, app, io) = with_store();
    let first = client_away(&app).await;
    io.emit("n", 1);
    let attempt = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
    until(|| engine.claims() == 1).await;
    attempt.abort();
    sleep(2 * DELAY).await;
    assert_eq!(engine.sessions(), 1);
    let again = come_back(&app, &first).await;
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_during_a_claim_gives_the_session_back() {
    let (engine, app, io) = with_store();
    let first = client_away(&app).await;
    let attempt = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
    until(|| engine.claims() == 1).await;
    io.close();
    assert!(attempt.await.unwrap().is_err());
    until(|| engine.sessions() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn sessions_that_will_not_resume_leave_the_store() {
    let engine = Engine::default();
    let (sender, mut sockets) = unbounded_channel();
    let namespace = Namespace::new().on_connect(async move |socket: Socket| {
        sender.send(socket).unwrap();
    });
    let (app, _) = serve(Some(&engine), namespace);
    let by_server = app.connect("/").await.unwrap();
    sockets.recv().await.unwrap().disconnect();
    by_server.disconnected().await;
    assert_eq!(engine.sessions(), 0);
    let away = app.connect("/").await.unwrap();
    away.cut().await;
    assert_eq!(engine.sessions(), 1);
    sockets.recv().await.unwrap().disconnect();
    assert_eq!(engine.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn events_for_one_and_for_many_keep_their_order() {
    for (app, io) in both(Namespace::new) {
        let client = app.connect("/").await.unwrap();
        let socket = io.socket(client.id()).unwrap();
        socket.join("room");
        for round in 0..5 {
            io.emit("n", 4 * round);
            socket.emit("n", 4 * round + 1);
            io.to("room").emit("n", 4 * round + 2);
            let waited = socket.emit_when_writable("n", 4 * round + 3).await;
            waited.unwrap();
            sleep(DELAY / 4).await;
        }
        let expected: Vec<_> = (0..20).collect();
        assert_eq!(numbers(&client, &io).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_delivered_when_it_has_its_position() {
    let (_, app, io) = with_store();
    let client = app.connect("/").await.unwrap();
    let began = Instant::now();
    io.emit("n", 1);
    assert!(began.elapsed().is_zero());
    client.next::<u32>("n").await;
    assert!(began.elapsed() >= DELAY);
    // Volatile events, and those that ask for an acknowledgement, do not wait.
    io.volatile().emit("n", 2);
    client.next::<u32>("n").await;
    assert!(began.elapsed() < 2 * DELAY);
}

#[tokio::test(start_paused = true)]
async fn without_the_engine_events_have_no_offset_and_their_clients_do_not_recover() {
    for condition in [Condition::Down, Condition::Silent] {
        let (engine, app, io) = with_store();
        let connected = app.connect("/").await.unwrap();
        let away = app.connect("/").await.unwrap();
        io.emit("n", 1);
        for client in [&connected, &away] {
            assert_eq!(client.next::<u32>("n").await, 1);
        }
        away.cut().await;
        engine.set(condition);
        let began = Instant::now();
        io.emit("n", 2);
        io.to(connected.id()).emit("n", 3);
        assert_eq!(connected.next::<u32>("n").await, 2);
        assert_eq!(connected.next::<u32>("n").await, 3);
        let waited = began.elapsed();
        assert_eq!(waited.is_zero(), condition == Condition::Down);
        assert!(waited < Duration::from_secs(2));
        engine.set(Condition::Works);
        // Events whose positions come late are not delivered again.
        sleep(3 * DELAY).await;
        connected.cut().await;
        for client in [&connected, &away] {
            let again = come_back(&app, client).await;
            assert!(!again.recovered(), "{condition:?}");
            assert!(numbers(&again, &io).await.is_empty());
            // From the next event on it may recover again.
            again.cut().await;
            io.emit("n", 4);
            let back = come_back(&app, &again).await;
            assert!(back.recovered());
            assert_eq!(numbers(&back, &io).await, [4]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_wait_are_limited() {
    let engine = Engine::default();
    engine.set(Condition::Silent);
    let recovery = Recovery::new().max_packets(2);
    let io = SocketIo::builder()
        .recovery(recovery)
        .recovery_stores(Arc::new(engine))
        .namespace("/", Namespace::new())
        .build();
    let client = TestApp::new(io.service()).connect("/").await.unwrap();
    let began = Instant::now();
    for number in 0..5 {
        io.emit("n", number);
    }
    for number in 0..3 {
        assert_eq!(client.next::<u32>("n").await, number);
    }
    assert!(began.elapsed().is_zero());
    assert_eq!(client.next::<u32>("n").await, 3);
    assert!(!began.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn sessions_of_connected_sockets_are_saved_at_intervals() {
    let (engine, app, io) = with_store();
    let client = app.connect("/").await.unwrap();
    io.socket(client.id()).unwrap().join("room");
    sleep(Duration::from_secs(600)).await;
    let state = engine.0.lock();
    let (session, until) = state.sessions.values().next().unwrap();
    assert!(*until > Instant::now());
    assert_eq!((session.id, session.rooms.len()), (client.id(), 1));
}
