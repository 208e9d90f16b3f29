//! Benchmarks of decoding and encoding packets.

use std::hint::black_box;

use axum_socketio_benches::memory;
use axum_socketio_proto::engine_io::{Message, Packet, Payload, PayloadWriter};
use axum_socketio_proto::socket_io::{Assembler, EncodedPacket, Kind, PacketLimits};
use axum_socketio_proto::websocket::{DecoderConfig, FrameDecoder};
use axum_socketio_proto::{EncodeError, EncodedArgs};
use bytes::Bytes;
use bytestring::ByteString;
use criterion::{BatchSize, Criterion, Throughput};
use serde::Serialize;

const EVENT: &str = r#"42["echo","a text of thirty-two characters."]"#;

pub(crate) fn benches(criterion: &mut Criterion) {
    websocket(criterion);
    engine_io(criterion);
    socket_io(criterion);
    encode(criterion);
    payload(criterion);
}

fn websocket(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codecs/websocket decode");
    for (name, received) in [
        ("one event", memory::text(EVENT)),
        ("sixteen events in one read", memory::text(EVENT).repeat(16)),
        ("text of 16 KiB", memory::text(&"x".repeat(16 << 10))),
        ("binary of 64 KiB", memory::binary(&vec![7; 64 << 10])),
    ] {
        group.throughput(Throughput::Bytes(received.len() as u64));
        let mut decoder = FrameDecoder::new(DecoderConfig::default());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut input = black_box(received.as_slice());
                while let Some(event) = decoder.next_event(&mut input).unwrap() {
                    black_box(event);
                }
            });
        });
    }
}

fn engine_io(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codecs/engine.io decode");
    for (name, text) in [
        ("event", EVENT.to_owned()),
        ("text of 16 KiB", format!("4{}", "x".repeat(16 << 10))),
        ("base64 of 1 KiB", format!("b{}", "QUJD".repeat(342))),
        ("pong", "3".to_owned()),
    ] {
        group.bench_function(name, |bencher| {
            let text = || ByteString::from(text.clone());
            bencher.iter_batched(
                text,
                |text| Packet::decode_text(text).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
}

fn socket_io(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codecs/socket.io decode");
    let limits = PacketLimits::default();
    for (name, text, attachment) in [
        ("event", r#"2["echo","hello"]"#, None),
        ("another namespace", r#"2/admin,["echo","hello"]"#, None),
        ("with an id", r#"27["echo","hello"]"#, None),
        ("acknowledgement", r#"37["hello"]"#, None),
        (
            "with an attachment",
            r#"51-["binary",{"_placeholder":true,"num":0}]"#,
            Some(Bytes::from_static(&[7; 1024])),
        ),
    ] {
        // The text is in a buffer of its own, as after the previous decoders.
        let messages = || {
            let text = Message::Text(text.to_owned().into());
            (text, attachment.clone().map(Message::Binary))
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                messages,
                |(text, attachment)| {
                    let mut assembler = Assembler::new();
                    let packet = assembler.feed(text, &limits).unwrap();
                    match attachment {
                        None => packet,
                        Some(attachment) => assembler.feed(attachment, &limits).unwrap(),
                    }
                    .unwrap()
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn encode(criterion: &mut Criterion) {
    fn event(args: &impl Serialize) -> Result<EncodedPacket, EncodeError> {
        let args = EncodedArgs::event("echo", args)?;
        Ok(EncodedPacket::from_args(args, Kind::Event, "/", None))
    }

    fn ack(args: &impl Serialize) -> Result<EncodedPacket, EncodeError> {
        let args = EncodedArgs::ack(args)?;
        Ok(EncodedPacket::from_args(args, Kind::Ack, "/", Some(7)))
    }

    let mut group = criterion.benchmark_group("codecs/encode");
    let small = "a text of thirty-two characters.";
    let large = "x".repeat(16 << 10);
    let bytes = Bytes::from(vec![7; 64 << 10]);
    group.bench_function("event", |bencher| {
        bencher.iter(|| event(black_box(&small)).unwrap());
    });
    group.bench_function("event with a text of 16 KiB", |bencher| {
        bencher.iter(|| event(black_box(&large)).unwrap());
    });
    group.bench_function("event with 64 KiB of bytes", |bencher| {
        bencher.iter(|| event(black_box(&bytes)).unwrap());
    });
    group.bench_function("acknowledgement", |bencher| {
        bencher.iter(|| ack(black_box(&small)).unwrap());
    });
}

fn payload(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codecs/polling payload");
    let body = [EVENT; 16].join("\x1e");
    group.bench_function("decode sixteen events", |bencher| {
        bencher.iter_batched(
            || ByteString::from(body.clone()),
            |body| {
                for packet in Payload::decode(body) {
                    black_box(packet.unwrap());
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("encode sixteen events", |bencher| {
        bencher.iter(|| {
            let mut writer = PayloadWriter::new();
            for _ in 0..16 {
                writer.push_text(black_box(EVENT.as_bytes()));
            }
            writer.finish()
        });
    });
    group.bench_function("encode 1 KiB of bytes", |bencher| {
        bencher.iter(|| {
            let mut writer = PayloadWriter::new();
            writer.push_binary(black_box(&[7; 1024]));
            writer.finish()
        });
    });
}
