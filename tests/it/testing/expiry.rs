//! Sockets that end at a time.

use std::time::{Duration, SystemTime};

use axum_socketio::config::Recovery;
use axum_socketio::testing::{ConnectError, Disconnected};
use axum_socketio::{Data, DisconnectReason, Namespace, Socket, SocketIo};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};

use super::{BOTH, TestApp, leaving, serve};

const MINUTE: Duration = Duration::from_secs(60);

async fn renew(socket: Socket, Data(seconds): Data<u64>) {
    socket.expires_in(Duration::from_secs(seconds));
}

async fn clear(socket: Socket) {
    socket.clear_expiry();
}

fn expiring() -> (
    Namespace,
    tokio::sync::mpsc::UnboundedReceiver<DisconnectReason>,
) {
    let (namespace, reasons) = leaving();
    let namespace = namespace
        .middleware(async |socket: Socket| socket.expires_at(SystemTime::now() + MINUTE))
        .on("renew", renew)
        .on("clear", clear);
    (namespace, reasons)
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_disconnected_at_its_time() {
    for transport in BOTH {
        let (namespace, mut reasons) = expiring();
        let (app, io) = serve(namespace);
        let app = app.limit(2 * MINUTE);
        let start = Instant::now();
        let client = app.connect("/").transport(transport).await.unwrap();
        assert_eq!(client.disconnected().await, Disconnected::ByServer);
        let lived = start.elapsed();
        assert!(lived > MINUTE - Duration::from_secs(1) && lived < MINUTE + Duration::from_secs(1));
        assert_eq!(reasons.recv().await, Some(DisconnectReason::Expired));
        let metrics = io.metrics();
        assert_eq!(metrics.sockets_disconnected["expired"], 1);
        assert_eq!(io.client_count(), 1, "the connection stays open");
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_lives_on_if_its_time_is_renewed_or_cleared() {
    for transport in BOTH {
        let (namespace, mut reasons) = expiring();
        let (app, _io) = serve(namespace);
        let app = app.limit(20 * MINUTE);
        let client = app.connect("/").transport(transport).await.unwrap();
        sleep(MINUTE / 2).await;
        client.emit_with_ack::<()>("renew", 600).await;
        sleep(9 * MINUTE).await;
        assert!(client.is_connected());
        client.emit_with_ack::<()>("clear", ()).await;
        sleep(60 * MINUTE).await;
        assert!(client.is_connected());
        let start = Instant::now();
        client.emit_with_ack::<()>("renew", 60).await;
        // It may also be shortened.
        client.emit_with_ack::<()>("renew", 7).await;
        assert_eq!(client.disconnected().await, Disconnected::ByServer);
        assert_eq!(start.elapsed().as_secs(), 7);
        assert_eq!(reasons.recv().await, Some(DisconnectReason::Expired));
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_has_passed_ends_the_socket_at_once() {
    let (namespace, mut reasons) = leaving();
    let (app, _io) = serve(namespace.on("end", async |socket: Socket| {
        socket.expires_at(SystemTime::UNIX_EPOCH);
    }));
    for transport in BOTH {
        let start = Instant::now();
        let client = app.connect("/").transport(transport).await.unwrap();
        client.emit("end", ()).await;
        assert_eq!(client.disconnected().await, Disconnected::ByServer);
        assert_eq!(reasons.recv().await, Some(DisconnectReason::Expired));
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_no_clock_reaches_has_no_effect() {
    let (namespace, mut reasons) = leaving();
    let (app, _io) = serve(namespace.on_connect(async |socket: Socket| {
        socket.expires_in(Duration::from_secs(1));
        socket.expires_in(Duration::MAX);
    }));
    let client = app.connect("/").await.unwrap();
    sleep(MINUTE).await;
    assert!(client.is_connected() && reasons.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_expires_before_it_is_admitted_is_refused() {
    let (namespace, mut reasons) = leaving();
    let namespace = namespace
        .middleware(async |socket: Socket| {
            socket.expires_in(Duration::from_secs(1));
            sleep(Duration::from_secs(2)).await;
        })
        .on_connect(async || -> () { panic!("it is not admitted") });
    let (app, io) = serve(namespace);
    for transport in BOTH {
        let refused = app.connect("/").transport(transport).await.unwrap_err();
        let ConnectError::Refused { message, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(message, "expired");
    }
    assert!(reasons.try_recv().is_err());
    assert!(io.of("/").local_sockets().is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_socket_of_a_connection_has_its_own_time() {
    let (told, mut ended) = unbounded_channel();
    let namespace = |seconds| {
        let told = told.clone();
        Namespace::new()
            .on_connect(async move |socket: Socket| {
                socket.expires_in(Duration::from_secs(seconds));
            })
            .on_disconnect(async move |reason: DisconnectReason| {
                told.send((seconds, reason)).unwrap();
            })
    };
    let io = SocketIo::builder()
        .namespace("/", namespace(30))
        .namespace("/short", namespace(10))
        .namespace("/long", namespace(50))
        .build();
    let app = TestApp::new(axum::Router::new().layer(io.layer())).limit(2 * MINUTE);
    let start = Instant::now();
    let client = app.connect("/").await.unwrap();
    let short = client.connect("/short").await.unwrap();
    let long = client.connect("/long").await.unwrap();
    for (client, seconds) in [(&short, 10), (&client, 30), (&long, 50)] {
        assert_eq!(client.disconnected().await, Disconnected::ByServer);
        assert_eq!(
            ended.recv().await,
            Some((seconds, DisconnectReason::Expired))
        );
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_keeps_its_time_and_an_expired_one_is_lost() {
    let (namespace, mut reasons) = leaving();
    let namespace = namespace
        .recovery(Recovery::new().skip_middlewares())
        .middleware(async |socket: Socket| socket.expires_in(MINUTE));
    let (app, _io) = serve(namespace);
    let app = app.limit(3 * MINUTE);
    let start = Instant::now();
    let first = app.connect("/").await.unwrap();
    sleep(MINUTE / 2).await;
    first.cut().await;
    assert!(reasons.recv().await.is_some());
    let second = app.connect("/").coming_back_as(&first).await.unwrap();
    assert!(second.recovered());
    assert_eq!(second.disconnected().await, Disconnected::ByServer);
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(reasons.recv().await, Some(DisconnectReason::Expired));
    let third = app.connect("/").coming_back_as(&second).await.unwrap();
    assert!(!third.recovered(), "an expired session is not stored");

    third.cut().await;
    sleep(90 * Duration::from_secs(1)).await;
    let refused = app.connect("/").coming_back_as(&third).await.unwrap_err();
    assert!(refused.to_string().contains("expired"), "{refused}");
}
