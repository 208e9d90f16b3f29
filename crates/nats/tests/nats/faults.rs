//! Failures of NATS, and messages of other software.

use std::time::Duration;

use axum_socketio::cluster::HealthState;
use axum_socketio::{Limits, SocketIo};
use bytes::Bytes;
use tokio::time::sleep;

use crate::engine::Engine;
use crate::server;
use crate::two_servers;
use crate::two_servers::{answered_by, becomes, connect, connect_to, reaches};

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn servers_find_each_other_again_after_failures_of_nats() {
    let mut engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = connect(&two).await;
    for number in 0..50 {
        bob.emit_with_ack::<()>("join", format!("room {number}"))
            .await;
    }
    reaches(one.to("room 7"), &bob).await;
    engine.kill();
    for number in 0..10 {
        // Local clients are reached all the same.
        two.emit("local", number);
        assert_eq!(bob.next::<u8>("local").await, number);
        one.emit("waiting", number);
    }
    becomes(&one, HealthState::Reconnecting).await;
    becomes(&two, HealthState::Reconnecting).await;
    assert!(one.cluster().health().unwrap().queued_messages > 0);
    bob.emit_with_ack::<()>("join", "later").await;
    bob.emit_with_ack::<()>("leave", "room 0").await;
    engine.restart().await;
    becomes(&two, HealthState::Connected).await;
    becomes(&one, HealthState::Connected).await;
    reaches(one.to("later"), &bob).await;
    reaches(one.to("room 49"), &bob).await;
    reaches(one.to(bob.id()), &bob).await;
    one.to("room 0").emit("news", 1);
    one.to("room 1").emit("news", 2);
    assert_eq!(bob.next::<u8>("news").await, 2);
    answered_by(&one.of("/"), 1).await;
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn messages_of_an_outage_are_sent_when_it_ends() {
    let mut engine = Engine::start().await;
    let nats = engine.nats().await.max_queued_bytes(100_000);
    // Both have one connection, so none is back before the other.
    let (one, two) = (two_servers::server(nats.clone()), two_servers::server(nats));
    let bob = connect(&two).await;
    reaches(one.of("/").broadcast(), &bob).await;
    engine.kill();
    becomes(&one, HealthState::Reconnecting).await;
    for number in 0..100 {
        assert!(one.emit("waiting", number).published());
    }
    // More than the queue has room for.
    assert!(!one.emit("waiting", "x".repeat(100_000)).published());
    engine.restart().await;
    for number in 0..100 {
        assert_eq!(bob.next::<u8>("waiting").await, number);
    }
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn a_nats_that_stops_for_a_while_loses_nothing() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = connect(&two).await;
    reaches(one.of("/").broadcast(), &bob).await;
    engine.signal("-STOP");
    for number in 0..1000 {
        one.emit("news", number);
    }
    sleep(Duration::from_secs(2)).await;
    engine.signal("-CONT");
    for number in 0..1000 {
        assert_eq!(bob.next::<usize>("news").await, number);
    }
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn garbage_on_any_subject_harms_nobody() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = connect(&two).await;
    bob.emit_with_ack::<()>("join", "x").await;
    reaches(one.to("x"), &bob).await;
    let client = engine.client().await;
    // The header of a whole message, and that of a part of one that never comes.
    let whole = [&[1_u8][..], &[9; 16], &[0, 0, 0, 0, 0, 0, 0, 1]].concat();
    let part = [&[1_u8][..], &[8; 16], &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]].concat();
    for subject in ["socketio.n./", "socketio.r./.x", "socketio.n./rooms-{id}"] {
        for garbage in [
            &b""[..],
            b"{",
            b"[]",
            b"\x01",
            b"garbage that is longer than a header",
            b"\x93",
        ] {
            for header in [&[][..], &whole, &part] {
                let garbage = Bytes::from([header, garbage].concat());
                client.publish(subject, garbage).await.unwrap();
            }
        }
    }
    client.flush().await.unwrap();
    reaches(one.to("x"), &bob).await;
    assert_eq!(one.of("/").count().await.unwrap(), 1);
    let lost = two.metrics().cluster_messages_lost;
    assert!(lost["malformed"] > 10, "{lost:?}");
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn messages_beyond_the_limit_are_counted() {
    let engine = Engine::start_with(|_| "max_payload: 4096".to_owned()).await;
    let limited = engine.nats().await.max_received_bytes(10_000);
    let (one, two) = (server(&engine).await, two_servers::server(limited));
    let bob = connect(&two).await;
    reaches(one.of("/").broadcast(), &bob).await;
    one.emit("news", "x".repeat(20_000));
    one.emit("news", "x".repeat(9_000));
    assert_eq!(bob.next::<String>("news").await.len(), 9_000);
    assert_eq!(two.metrics().cluster_messages_lost["missed"], 1);
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn a_namespace_with_too_long_a_name_is_local() {
    let engine = Engine::start().await;
    let server = async || {
        SocketIo::builder()
            .cluster(engine.nats().await)
            .limits(Limits::new().max_namespace_len(1000))
            .namespace("/rooms-{id}", two_servers::namespace())
            .build()
    };
    let (one, two) = (server().await, server().await);
    let long = format!("/rooms-{}", "é".repeat(200));
    let bob = connect_to(&two, &long).await;
    two.of(&long).emit("news", 1);
    assert_eq!(bob.next::<u8>("news").await, 1);
    assert!(!one.of(&long).emit("news", 2).published());
    bob.expect_no("news").await;
}
