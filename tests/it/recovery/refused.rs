//! Recoveries that are refused, and the reasons.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Extension;
use axum_socketio::config::Recovery;
use axum_socketio::extract::Recovered;
use axum_socketio::testing::{ConnectError, TestApp};
use axum_socketio::{DisconnectReason, Namespace, Refused, Socket, SocketIo};
use tokio::sync::Notify;

use super::{app, numbers, serve};

#[tokio::test(start_paused = true)]
async fn who_has_left_or_was_sent_away_does_not_come_back() {
    let (app, io) = serve(Recovery::new());
    let left = app.connect("/").await.unwrap();
    left.disconnect().await;
    let again = app.connect("/").coming_back_as(&left).await.unwrap();
    assert!(!again.recovered());
    assert_ne!(again.id(), left.id());

    let sent_away = app.connect("/").await.unwrap();
    io.socket(sent_away.id()).unwrap().disconnect();
    sent_away.disconnected().await;
    let again = app.connect("/").coming_back_as(&sent_away).await.unwrap();
    assert!(!again.recovered());
}

#[tokio::test(start_paused = true)]
async fn who_was_closed_by_the_server_or_did_not_answer_comes_back() {
    let (app, io) = serve(Recovery::new());
    let client = app.connect("/").await.unwrap();
    let socket = io.socket(client.id()).unwrap();
    assert_eq!(socket.close(4000, "again, please"), Ok(()));
    client.disconnected().await;
    let client = app.connect("/").coming_back_as(&client).await.unwrap();
    assert!(client.recovered());
    client.ignore_pings();
    let socket = io.socket(client.id()).unwrap();
    assert_eq!(socket.closed().await, DisconnectReason::PingTimeout);
    io.emit("n", 1);
    let again = app.connect("/").coming_back_as(&client).await.unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn middleware_are_asked_and_who_is_refused_may_try_again() {
    let (admit, asked) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (admits, asks) = (Arc::clone(&admit), Arc::clone(&asked));
    let namespace = Namespace::new().middleware(
        async move |Recovered(recovered): Recovered, socket: Socket| {
            asks.fetch_add(usize::from(recovered), Ordering::Relaxed);
            if !admits.load(Ordering::Relaxed) {
                return Err(Refused::new("token expired"));
            }
            socket.join("from middleware");
            Ok(Extension(7))
        },
    );
    let recovery = Recovery::new();
    let (app, io) = app(SocketIo::builder()
        .recovery(recovery)
        .namespace("/", namespace));
    let first = app.connect("/").await.unwrap();
    first.cut().await;
    io.to("from middleware").emit("n", 1);
    admit.store(false, Ordering::Relaxed);
    let refused = app.connect("/").coming_back_as(&first).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { message, .. } if message == "token expired"));
    assert_eq!(io.local().count().await.unwrap(), 0);
    admit.store(true, Ordering::Relaxed);
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    assert!(again.recovered());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(numbers(&again, &io).await, [1]);
    let rooms = io.socket(again.id()).unwrap().rooms();
    assert_eq!(rooms.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn middleware_can_be_skipped() {
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = Arc::clone(&asked);
    let namespace = Namespace::new().middleware(async move || {
        asks.fetch_add(1, Ordering::Relaxed);
        Extension("from middleware")
    });
    let recovery = Recovery::new().skip_middlewares();
    let (app, io) = app(SocketIo::builder()
        .recovery(recovery)
        .namespace("/", namespace));
    let first = app.connect("/").await.unwrap();
    first.cut().await;
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    assert!(again.recovered());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let socket = io.socket(again.id()).unwrap();
    assert_eq!(socket.get::<&str>(), Some("from middleware"));
    app.connect("/").await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// Starts a server whose middleware delays a recovery.
fn slow(recovery: Recovery) -> (TestApp, SocketIo, Arc<Notify>, Arc<Notify>) {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, goes_on) = (Arc::clone(&begun), Arc::clone(&go_on));
    let namespace = Namespace::new()
        .middleware(async move |Recovered(recovered): Recovered| {
            if recovered {
                begins.notify_one();
                goes_on.notified().await;
            }
        })
        .on_connect(async |socket: Socket| {
            if !socket.recovered() {
                socket.join("room");
            }
        });
    let builder = SocketIo::builder().recovery(recovery);
    let (app, io) = app(builder.namespace("/", namespace));
    (app, io, begun, go_on)
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_middleware_decide_is_missed_too() {
    let (app, io, begun, go_on) = slow(Recovery::new());
    let first = app.connect("/").await.unwrap();
    first.cut().await;
    io.emit("n", 1);
    let again = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
    begun.notified().await;
    io.to("room").emit("n", 2);
    go_on.notify_one();
    let again = again.await.unwrap().unwrap();
    assert_eq!(numbers(&again, &io).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_is_disconnected_while_middleware_decide_begins_anew() {
    for all in [false, true] {
        let (app, io, begun, go_on) = slow(Recovery::new());
        let first = app.connect("/").await.unwrap();
        let old = io.socket(first.id()).unwrap();
        first.cut().await;
        let again = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
        begun.notified().await;
        let again = if all {
            // The connection over which it was recovering is closed too.
            old.disconnect_all();
            assert!(again.await.unwrap().is_err());
            app.connect("/").coming_back_as(&first).await.unwrap()
        } else {
            old.disconnect();
            go_on.notify_one();
            again.await.unwrap().unwrap()
        };
        assert!(!again.recovered());
        assert_ne!(again.id(), first.id());
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_cut_off_itself_is_superseded() {
    let (app, io, begun, go_on) = slow(Recovery::new());
    let first = app.connect("/").await.unwrap();
    first.cut().await;
    io.emit("n", 1);
    let stuck = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
    begun.notified().await;
    let again = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
    begun.notified().await;
    go_on.notify_one();
    go_on.notify_one();
    let again = again.await.unwrap().unwrap();
    assert!(again.recovered());
    assert!(matches!(stuck.await.unwrap(), Err(ConnectError::Closed(_))));
    assert_eq!(numbers(&again, &io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn if_middleware_take_too_long_it_is_a_new_socket() {
    let (app, io, begun, go_on) = slow(Recovery::new().max_packets(3));
    let first = app.connect("/").await.unwrap();
    io.socket(first.id()).unwrap().insert("old");
    first.cut().await;
    let again = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
    begun.notified().await;
    for number in 0..4 {
        io.emit("n", number);
    }
    go_on.notify_one();
    let again = again.await.unwrap().unwrap();
    assert!(!again.recovered());
    // Nothing of the old socket remains.
    assert_ne!(again.id(), first.id());
    let socket = io.socket(again.id()).unwrap();
    assert!(!socket.recovered());
    assert_eq!(socket.get::<&str>(), None);
    assert_eq!(numbers(&again, &io).await, [0; 0]);
    // The middleware and the connect handler have run for a new socket.
    assert_eq!(io.to("room").count().await.unwrap(), 1);
    assert_eq!(io.local().count().await.unwrap(), 1);
}
