//! Events that are emitted to a socket whose client is disconnected.

use std::sync::Arc;

use axum_socketio::config::Recovery;
use axum_socketio::emit::EmitError;
use axum_socketio::{Limits, Namespace, Socket, SocketIo};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{app, numbers, serve};
use axum_socketio::testing::{TestApp, TestClient};

/// Starts a server that sends out its sockets.
fn with_sockets(recovery: Recovery) -> (TestApp, SocketIo, UnboundedReceiver<Socket>) {
    let (sender, sockets) = unbounded_channel();
    let namespace = Namespace::new().on_connect(async move |socket: Socket| {
        sender.send(socket).unwrap();
    });
    let builder = SocketIo::builder()
        .recovery(recovery)
        .limits(Limits::new().max_outbox_packets(4));
    let (app, io) = app(builder.namespace("/", namespace));
    (app, io, sockets)
}

#[tokio::test(start_paused = true)]
async fn the_handle_goes_on_to_reach_its_client() {
    let (app, io, mut sockets) = with_sockets(Recovery::new());
    let first = app.connect("/").await.unwrap();
    let socket = sockets.recv().await.unwrap();
    first.cut().await;
    socket.closed().await;
    socket.emit("n", 1).into_result().unwrap();
    socket.emit_when_writable("n", 2).await.unwrap();
    let volatile = socket.volatile().emit("n", 3).into_result();
    assert!(matches!(volatile, Err(EmitError::Closed)));
    assert!(!socket.connected());
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    // The client has recovered to another handle, with the same id.
    let other = sockets.recv().await.unwrap();
    assert!(other != socket && other.id() == socket.id());
    socket.emit("n", 4).into_result().unwrap();
    other.emit("n", 5).into_result().unwrap();
    assert_eq!(numbers(&again, &io).await, [1, 2, 4, 5]);
    again.disconnect().await;
    other.closed().await;
    for socket in [socket, other] {
        let late = socket.emit("n", 6).into_result();
        assert!(matches!(late, Err(EmitError::Closed)));
    }
}

/// Fills the outbox of a client that reads nothing. Returns the numbers of the queued events.
async fn fill(socket: &Socket) -> Vec<u32> {
    let mut queued = Vec::new();
    for number in 0..100 {
        if socket.emit("n", large(number)).ok() {
            queued.push(number);
        }
        tokio::task::yield_now().await;
    }
    assert!(queued.len() < 90);
    queued
}

fn large(number: u32) -> (u32, String) {
    (number, "x".repeat(100_000))
}

/// Returns the numbers of the events that have arrived, which have another argument as well.
async fn all(client: &TestClient) -> Vec<u32> {
    let mut all = Vec::new();
    while client.has("n") {
        let (number, _) = client.next::<(u32, String)>("n").await;
        all.push(number);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn what_found_no_room_is_not_missed() {
    let (app, _io, mut sockets) = with_sockets(Recovery::new());
    let first = app.connect("/").await.unwrap();
    let socket = sockets.recv().await.unwrap();
    first.stop_reading();
    let queued = fill(&socket).await;
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    // The delivery takes a while, because the events need more room than there is.
    let mut got = Vec::new();
    while got.last() != queued.last() {
        got.extend(all(&again).await);
        tokio::task::yield_now().await;
    }
    assert_eq!(got, queued);
    assert!(again.recovered());
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_while_it_waited_for_room_is_not_missed() {
    let (app, _io, mut sockets) = with_sockets(Recovery::new());
    let first = app.connect("/").await.unwrap();
    let socket = sockets.recv().await.unwrap();
    first.stop_reading();
    let mut queued = fill(&socket).await;
    let mut given_up = Box::pin(socket.emit_when_writable("n", large(200)));
    assert!(futures_util::poll!(given_up.as_mut()).is_pending());
    let waiting = tokio::spawn(socket.emit_when_writable("n", large(201)));
    tokio::task::yield_now().await;
    drop(given_up);
    // No event overtakes the one that still waits.
    assert!(!socket.emit("n", large(202)).ok());
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    waiting.await.unwrap().unwrap();
    queued.push(201);
    let mut got = Vec::new();
    while got.last() != queued.last() {
        got.extend(all(&again).await);
        tokio::task::yield_now().await;
    }
    assert_eq!(got, queued);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_let_go_in_time() {
    let kept = Arc::new(());
    let value = Arc::clone(&kept);
    let namespace = Namespace::new().on_connect(async move |socket: Socket| {
        socket.insert(Arc::clone(&value));
    });
    let recovery = Recovery::new();
    let (app, _io) = app(SocketIo::builder()
        .recovery(recovery)
        .namespace("/", namespace));
    let client = app.connect("/").await.unwrap();
    let before = Arc::strong_count(&kept);
    client.cut().await;
    tokio::time::sleep(std::time::Duration::from_secs(119)).await;
    assert_eq!(Arc::strong_count(&kept), before);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(Arc::strong_count(&kept), before - 1);
}

#[tokio::test(start_paused = true)]
async fn who_watches_what_is_emitted_sees_no_offset_and_nothing_twice() {
    let (sender, mut seen) = unbounded_channel();
    let namespace = Namespace::new().on_any_outgoing(move |outgoing| {
        sender.send(outgoing.json.to_owned()).unwrap();
        // A hook may emit as long as the event does not reach itself.
        outgoing.socket.to("nobody").emit("seen", ());
    });
    let recovery = Recovery::new();
    let (app, io) = app(SocketIo::builder()
        .recovery(recovery)
        .namespace("/", namespace));
    let first = app.connect("/").await.unwrap();
    io.emit("n", 1);
    first.cut().await;
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    io.socket(again.id()).unwrap().emit("n", 2);
    assert_eq!(seen.recv().await.unwrap(), r#"["n",1]"#);
    assert_eq!(seen.recv().await.unwrap(), r#"["n",2]"#);
    assert!(seen.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_is_the_same_for_all_whoever_emits() {
    let (app, io) = serve(Recovery::new());
    let client = app.connect("/").await.unwrap();
    let seen = app.connect("/").await.unwrap();
    let emit = |io: SocketIo, from: u32| {
        tokio::task::spawn_blocking(move || {
            for number in from..from + 500 {
                io.emit("n", number);
            }
        })
    };
    let threads = [emit(io.clone(), 0), emit(io.clone(), 1000)];
    // Some of the events are read before the connection is cut, the others after it.
    let mut got: Vec<u32> = Vec::new();
    for _ in 0..100 {
        got.push(client.next("n").await);
    }
    client.cut().await;
    for thread in threads {
        thread.await.unwrap();
    }
    while client.has("n") {
        got.push(client.next("n").await);
    }
    let again = app.connect("/").coming_back_as(&client).await.unwrap();
    got.extend(numbers(&again, &io).await);
    assert_eq!(got.len(), 1000);
    assert_eq!(got, numbers(&seen, &io).await);
}

#[tokio::test(start_paused = true)]
async fn who_is_disconnected_while_away_does_not_come_back() {
    let (app, _io, mut sockets) = with_sockets(Recovery::new());
    let first = app.connect("/").await.unwrap();
    let socket = sockets.recv().await.unwrap();
    first.cut().await;
    socket.closed().await;
    socket.disconnect();
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    assert!(!again.recovered());

    // An old handle still refers to the client, whichever connection it has.
    let old = sockets.recv().await.unwrap();
    again.cut().await;
    let third = app.connect("/").coming_back_as(&again).await.unwrap();
    assert!(third.recovered());
    old.disconnect();
    assert_eq!(
        third.disconnected().await.to_string(),
        "io server disconnect"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_takes_no_room_from_what_comes_next() {
    let (app, io, _sockets) = with_sockets(Recovery::new());
    let first = app.connect("/").await.unwrap();
    first.cut().await;
    for number in 0..20 {
        io.emit("n", number);
    }
    let again = app.connect("/").coming_back_as(&first);
    let mut again = std::pin::pin!(again.into_future());
    // The server has queued more than the four packets that an outbox may have, and the client reads none.
    while io.local().count().await.unwrap() == 0 {
        assert!(futures_util::poll!(again.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    io.emit("n", 20);
    let again = again.await.unwrap();
    assert_eq!(numbers(&again, &io).await, (0..=20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_emitted_while_its_client_comes_back_is_not_lost() {
    let (app, io) = {
        let namespace = Namespace::new();
        super::app(
            SocketIo::builder()
                .recovery(Recovery::new())
                .namespace("/", namespace),
        )
    };
    let first = app.connect("/").await.unwrap();
    let socket = io.socket(first.id()).unwrap();
    // The future is created while the socket is connected, and polled when it no longer is.
    let sending = socket.emit_when_writable("n", 1);
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    sending.await.unwrap();
    assert_eq!(numbers(&again, &io).await, [1]);
}

/// A hook has delayed the emitter, and its socket has been superseded meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_waits_for_room_goes_to_where_its_client_is_by_then() {
    let (looking, mut looks) = unbounded_channel();
    let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
    let goes_on = std::sync::Mutex::new(Some(goes_on));
    let namespace = Namespace::new().on_any_outgoing(move |_| {
        // The hook waits the first time only.
        let wait = goes_on.lock().unwrap().take();
        if let Some(wait) = wait {
            looking.send(()).unwrap();
            wait.recv().unwrap();
        }
    });
    let recovery = Recovery::new();
    let (app, io) = app(SocketIo::builder()
        .recovery(recovery)
        .namespace("/", namespace));
    let first = app.connect("/").await.unwrap();
    let socket = io.socket(first.id()).unwrap();
    let sending = tokio::spawn(async move { socket.emit_when_writable("n", 1).await });
    looks.recv().await.unwrap();
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    go_on.send(()).unwrap();
    sending.await.unwrap().unwrap();
    assert_eq!(numbers(&again, &io).await, [1]);
}
