//! Servers that exchange their messages in streams.

use axum_socketio::SocketIo;
use axum_socketio_redis::{Redis, Streams};

use crate::engine::{Engine, Kind};
use crate::server;
use crate::two_servers::{self, connect, connect_to, reaches};

impl Engine {
    /// Ends the connections that read streams, as often as there are any.
    async fn end_readers(&self) {
        let clients: String = self.command(&["CLIENT", "LIST"]).await;
        for client in clients.lines().filter(|line| line.contains("cmd=xread")) {
            let id = client.split([' ', '=']).nth(1).unwrap();
            let _: usize = self.command(&["CLIENT", "KILL", "ID", id]).await;
        }
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_server_that_reads_again_has_lost_nothing() {
    const EVENTS: usize = 3000;
    let engine = Engine::start().await;
    let one = server(&engine.url(), Kind::Streams).await;
    let two = server(&engine.url(), Kind::Streams).await;
    let bob = connect(&two).await;
    for number in 0..EVENTS {
        one.emit("news", number);
        if number % 500 == 0 {
            engine.end_readers().await;
        }
    }
    for number in 0..EVENTS {
        assert_eq!(bob.next::<usize>("news").await, number);
    }
    bob.expect_no("news").await;
    let lengths = two.metrics().cluster_messages_lost;
    assert_eq!(lengths.values().sum::<u64>(), 0, "{lengths:?}");
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn namespaces_whose_stream_has_a_negative_number_are_reached() {
    let engine = Engine::start().await;
    let server = async || -> SocketIo {
        let redis = Redis::connect(&engine.url()).await.unwrap();
        let builder = SocketIo::builder().cluster(redis.streams(Streams::new().count(3)));
        let builder = builder.namespace("/", two_servers::namespace());
        builder
            .namespace("/orders-0", two_servers::namespace())
            .build()
    };
    let (one, two) = (server().await, server().await);
    let bob = connect_to(&two, "/orders-0").await;
    one.of("/orders-0").emit("news", 1);
    assert_eq!(bob.next::<u8>("news").await, 1);
    let length: usize = engine.command(&["XLEN", "socket.io--1"]).await;
    assert_eq!(length, 1);
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn garbage_in_the_stream_harms_nobody() {
    let engine = Engine::start().await;
    let kind = Kind::Streams;
    let (one, two) = (
        server(&engine.url(), kind).await,
        server(&engine.url(), kind).await,
    );
    let bob = connect(&two).await;
    let stream = "socket.io-2";
    let field = |fields: &[&'static str]| [&["XADD", stream, "*"], fields].concat();
    let data = |data: &'static str| field(&["uid", "u", "nsp", "/", "type", "3", "data", data]);
    let mut entries = vec![
        field(&["other", "software"]),
        field(&["nsp", "/"]),
        field(&["nsp", "/", "type", "three"]),
        field(&["nsp", "/unknown", "type", "3"]),
        field(&["nsp", "/", "type", "1", "uid", "u"]),
        field(&["nsp", "/", "type", "3", "uid", "u"]),
    ];
    entries.extend(
        [
            "",
            "{",
            "{}",
            "null",
            "gA==",
            "no base64",
            "{\"packet\":{\"type\":2,\"data\":[7]},\"opts\":{}}",
        ]
        .map(data),
    );
    for entry in &entries {
        let _: String = engine.command(entry).await;
    }
    reaches(one.of("/").broadcast(), &bob).await;
    assert_eq!(two.metrics().cluster_messages_lost["malformed"], 8);
}
