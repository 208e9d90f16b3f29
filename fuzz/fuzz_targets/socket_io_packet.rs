//! Messages of one connection, as a polling body, become packets with all their attachments.
#![no_main]

use axum_socketio_proto::{
    Args,
    engine_io::{Packet as EnginePacket, Payload},
    socket_io::{Assembler, PacketLimits, Packet},
};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

fuzz_target!(|body: &str| {
    let limits = PacketLimits::default();
    let mut assembler = Assembler::new();
    for packet in Payload::decode(body.into()).map_while(Result::ok) {
        let EnginePacket::Message(message) = packet else {
            continue;
        };
        match assembler.feed(message, &limits) {
            Ok(Some(packet)) => check(&packet, &limits),
            Ok(None) => assert!(assembler.is_waiting()),
            Err(_) => return,
        }
    }
});

fn check(packet: &Packet, limits: &PacketLimits) {
    assert!(packet.nsp().starts_with('/'));
    assert!(packet.nsp().len() <= limits.max_nsp_len);
    match packet {
        Packet::Connect {
            auth: Some(auth), ..
        } => {
            assert!(serde_json::from_str::<IgnoredAny>(auth).is_ok());
        }
        Packet::Event { event, .. } => {
            assert!(event.name().len() <= limits.max_event_len);
            check_args(event.args(), limits);
        }
        Packet::Ack { args, .. } => check_args(args, limits),
        Packet::Connect { .. } | Packet::Disconnect { .. } | Packet::ConnectError { .. } => {}
    }
}

fn check_args(args: &Args, limits: &PacketLimits) {
    assert!(args.attachments().len() <= limits.max_attachments);
    assert_eq!(args.check().is_ok(), args.raw().is_ok());
    if !args.attachments().is_empty() {
        assert_eq!(args.check(), Ok(()));
    }
}
