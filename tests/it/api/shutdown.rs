//! Going down without losing anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum_socketio::config::Order;
use axum_socketio::{DisconnectReason, Namespace, Socket, SocketIo, Timeouts};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::support::{Clock, Http, POLLING, Ws, current_thread, serve, within};

#[tokio::test]
async fn a_graceful_shutdown_refuses_closes_and_waits() {
    let (sender, mut left) = mpsc::unbounded_channel();
    let (go, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (gate, finished) = (Arc::clone(&go), Arc::clone(&done));
    let namespace = Namespace::new()
        .on("work", move || async move {
            gate.notified().await;
            finished.store(true, Ordering::SeqCst);
        })
        .on("end", async || {})
        .on_disconnect(move |why: DisconnectReason| async move { sender.send(why).unwrap() });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .timeouts(Timeouts::new().drain_window(Duration::from_millis(50)))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let (mut one, mut other) = (Ws::joined(server.addr).await, Ws::joined(server.addr).await);
    one.send(r#"42["work"]"#).await;
    one.ask(r#"["end"]"#).await;

    let (signal, signalled) = oneshot::channel::<()>();
    let graceful = io.graceful(async move { drop(signalled.await) });
    let graceful = tokio::spawn(graceful);
    assert!(io.ready());
    drop(signal);
    assert_eq!(other.ended().await.close, Some(None));
    let shutting_down = Some(DisconnectReason::ServerShuttingDown);
    assert_eq!(within("an end", left.recv()).await, shutting_down);
    assert!(!io.ready());
    let refused = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    assert!(!graceful.is_finished(), "a handler is at work");
    assert!(left.try_recv().is_err(), "and its socket is connected");
    go.notify_one();
    assert_eq!(one.ended().await.close, Some(None));
    assert_eq!(within("an end", left.recv()).await, shutting_down);
    within("the end", graceful).await.unwrap();
    within("the end", io.closed()).await;
    assert!(done.load(Ordering::SeqCst));
}

#[tokio::test]
async fn waiting_has_a_limit() {
    let namespace = Namespace::new()
        .on("hang", std::future::pending::<()>)
        .on("end", async || {});
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .timeouts(Timeouts::new().drain_limit(Duration::from_millis(50)))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["hang"]"#).await;
    client.ask(r#"["end"]"#).await;
    io.close();
    within("the limit", io.closed()).await;
    assert_eq!(client.ended().await.close, Some(None));
}

#[tokio::test]
async fn the_limit_counts_from_the_start_of_the_shutdown() {
    let limit = Duration::from_secs(30);
    let namespace = Namespace::new()
        .on("hang", std::future::pending::<()>)
        .on("end", async || {});
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .timeouts(
            Timeouts::new()
                .drain_limit(limit)
                .drain_window(Duration::ZERO),
        )
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"42["hang"]"#).await;
    client.ask(r#"["end"]"#).await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    io.graceful(std::future::ready(())).await;
    io.closed().await;
    assert_eq!(begun.elapsed().as_secs(), limit.as_secs());
}

#[tokio::test]
async fn closed_waits_for_a_shutdown() {
    let io = SocketIo::builder().build();
    let closed = tokio::spawn({
        let io = io.clone();
        async move { io.closed().await }
    });
    tokio::task::yield_now().await;
    assert!(!closed.is_finished());
    assert!(io.ready());
    io.close();
    within("the end", closed).await.unwrap();
}

#[tokio::test]
async fn clients_are_closed_one_after_another_over_the_drain_window() {
    let io = SocketIo::builder()
        .namespace("/", Namespace::new())
        .timeouts(Timeouts::new().drain_window(Duration::from_secs(9)))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let clock = Clock::stop();
    let mut clients = [
        Ws::joined(server.addr).await,
        Ws::joined(server.addr).await,
        Ws::joined(server.addr).await,
    ];
    let graceful = tokio::spawn(io.graceful(async {}));
    for left in [2, 1, 0] {
        // A request and its answer leave time for whatever is due.
        let refused = Http::once(server.addr, "GET", POLLING).await;
        assert_eq!(refused.status, 503);
        assert_eq!(io.client_count(), left);
        clock.advance(Duration::from_secs(3)).await;
    }
    for client in &mut clients {
        assert_eq!(client.ended().await.close, Some(None));
    }
    drop(clients);
    within("the end", graceful).await.unwrap();
}

#[test]
fn a_dropped_runtime_drops_handlers_of_leaving_sockets() {
    let held = Arc::new(());
    let captured = Arc::clone(&held);
    let namespace = Namespace::new()
        .order(Order::Completed)
        .on_connect(move |socket: Socket| async move {
            let own = (socket.clone(), captured);
            socket.on("own", move || {
                let _held = &own;
                std::future::ready(())
            });
        })
        .on("hang", std::future::pending::<()>);
    let runtime = current_thread();
    let client = runtime.block_on(async {
        let io = SocketIo::builder().namespace("/", namespace).build();
        let server = serve(Router::new().layer(io.layer())).await;
        let mut client = Ws::joined(server.addr).await;
        // The second waits for its turn, and the socket for it.
        client
            .send_all(&[r#"42["hang"]"#, r#"42["hang"]"#, "41"])
            .await;
        client.is_read().await;
        client
    });
    drop(runtime);
    drop(client);
    assert_eq!(Arc::strong_count(&held), 1);
}
