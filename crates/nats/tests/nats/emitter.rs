//! The emitter.

use axum_socketio_nats::{EmitError, Emitter};
use bytes::Bytes;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::server;
use crate::two_servers::{SOON, connect, connect_to};

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn an_emitter_reaches_the_clients_of_all_servers() {
    let engine = Engine::start_with(|_| "max_payload: 4096".to_owned()).await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let (ann, bob) = (connect(&one).await, connect(&two).await);
    let eve = connect_to(&two, "/rooms-1").await;
    let emitter = Emitter::connect(&engine.url()).await.unwrap();
    emitter.emit("news", "all").await.unwrap();
    assert_eq!(ann.next::<String>("news").await, "all");
    assert_eq!(bob.next::<String>("news").await, "all");
    bob.emit_with_ack::<()>("join", "x").await;
    for number in 0..20 {
        emitter
            .to("x")
            .emit("news", (number, "x".repeat(5_000)))
            .await
            .unwrap();
        emitter.except("x").emit("news", number).await.unwrap();
        emitter
            .to(bob.id())
            .uncompressed()
            .emit("news", number)
            .await
            .unwrap();
        assert_eq!(bob.next::<(u8, String)>("news").await.0, number);
        assert_eq!(ann.next::<u8>("news").await, number);
        assert_eq!(bob.next::<u8>("news").await, number);
    }
    let binary = Bytes::from(vec![1, 2, 255]);
    emitter.of("/rooms-1").emit("news", &binary).await.unwrap();
    assert_eq!(eve.next::<Bytes>("news").await, binary);
    // An event for a room follows the join at once.
    emitter
        .to([ann.id(), bob.id()])
        .join("joined")
        .await
        .unwrap();
    emitter.to("joined").emit("news", 100).await.unwrap();
    assert_eq!(ann.next::<u8>("news").await, 100);
    assert_eq!(bob.next::<u8>("news").await, 100);
    emitter
        .to("joined")
        .except("x")
        .leave("joined")
        .await
        .unwrap();
    emitter.to("joined").emit("news", 101).await.unwrap();
    assert_eq!(bob.next::<u8>("news").await, 101);
    emitter.to("x").disconnect().await.unwrap();
    bob.disconnected().await;
    emitter.server_side_emit("count", 7).await.unwrap();
    emitter.disconnect_all().await.unwrap();
    ann.disconnected().await;
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn an_emitter_reports_what_it_cannot_send() {
    let mut engine = Engine::start().await;
    let nats = engine.nats().await.max_queued_bytes(10_000);
    let emitter = nats.emitter();
    let sent = emitter.emit("news", "x".repeat(10_000)).await;
    assert!(
        matches!(sent, Err(EmitError::TooLarge { max: 10_000, .. })),
        "{sent:?}"
    );
    let sent = emitter.of("/".repeat(2000)).emit("news", 1).await;
    assert!(matches!(sent, Err(EmitError::NoSubject)), "{sent:?}");
    assert!(matches!(
        emitter.emit("connect", 1).await,
        Err(EmitError::Encode(_))
    ));
    engine.kill();
    let refused = async {
        loop {
            // The client finds out a little later.
            if let Err(error) = emitter.emit("news", 1).await {
                break error;
            }
        }
    };
    let refused = timeout(SOON, refused).await.expect("the event is refused");
    assert!(matches!(refused, EmitError::Nats { .. }), "{refused:?}");
}
