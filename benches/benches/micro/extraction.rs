//! Benchmarks of deserializing an event's arguments into the types of a handler: alone, by way of `serde_json::Value`,
//! and in a server.

use std::hint::black_box;
use std::time::{Duration, Instant};

use axum_socketio::extract::Rest;
use axum_socketio::{Data, Namespace, Reply};
use axum_socketio_benches::contract::Report;
use axum_socketio_benches::memory;
use axum_socketio_proto::Args;
use axum_socketio_proto::engine_io::Message;
use axum_socketio_proto::socket_io::{Assembler, Packet, PacketLimits};
use criterion::Criterion;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{builder, runtime};

pub(crate) fn benches(criterion: &mut Criterion) {
    arguments(criterion);
    event(criterion);
}

fn arguments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("extraction/arguments");
    let two = received(r#"2["message","room 7","hello, everybody"]"#);
    group.bench_function("two texts, typed", |bencher| {
        bencher.iter(|| black_box(&two).deserialize::<(String, String)>().unwrap());
    });
    group.bench_function("two texts, by way of Value", |bencher| {
        bencher.iter(|| {
            let Rest(values) = black_box(&two).deserialize::<Rest<Value>>().unwrap();
            serde_json::from_value::<(String, String)>(Value::Array(values)).unwrap()
        });
    });
    let report = serde_json::to_string(&Report::sample()).unwrap();
    let report = received(&format!(r#"2["json",{report}]"#));
    group.bench_function("report of 64 KiB, typed", |bencher| {
        bencher.iter(|| black_box(&report).deserialize::<Report>().unwrap());
    });
    group.bench_function("report of 64 KiB, by way of Value", |bencher| {
        bencher.iter(|| {
            let value = black_box(&report).deserialize::<Value>().unwrap();
            serde_json::from_value::<Report>(value).unwrap()
        });
    });
}

fn received(packet: &str) -> Args {
    let message = Message::Text(packet.into());
    match Assembler::new().feed(message, &PacketLimits::default()) {
        Ok(Some(Packet::Event { event, .. })) => event.into_args(),
        other => unreachable!("not an event: {other:?}"),
    }
}

/// Measures the way from the bytes that a client sends to those that it receives, through everything except the
/// network.
fn event(criterion: &mut Criterion) {
    async fn greet(Data((name, times)): Data<(String, u32)>) -> Reply<(u32, String)> {
        Reply((times, name))
    }

    let mut group = criterion.benchmark_group("extraction/event through a server");
    let runtime = runtime();
    let io = builder()
        .namespace("/", Namespace::new().on("greet", greet))
        .build();
    let (mut pipe, _) = runtime.block_on(memory::connect(&io)).unwrap();
    let ask = memory::text(r#"427["greet","everybody",3]"#);
    let answer = memory::answer(r#"437[3,"everybody"]"#);
    for in_flight in [1, 16] {
        let (asks, answers) = (ask.repeat(in_flight), answer.repeat(in_flight));
        let mut heard = vec![0; answers.len()];
        let mut exchange = async |times: u64| {
            let start = Instant::now();
            for _ in 0..times {
                pipe.write_all(&asks).await.unwrap();
                pipe.read_exact(&mut heard).await.unwrap();
            }
            let took = start.elapsed();
            assert_eq!(heard, answers);
            took
        };
        group.throughput(criterion::Throughput::Elements(in_flight as u64));
        group.bench_function(format!("{in_flight} in flight"), |bencher| {
            bencher.iter_custom(|times| -> Duration { runtime.block_on(exchange(times)) });
        });
    }
}
