//! A polling body has at least one packet, an error at most at its end, and means the same when it is written and read again.
#![no_main]

use axum_socketio_proto::engine_io::{Payload, PayloadWriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    let packets: Vec<_> = Payload::decode(body.into()).collect();
    let Some((last, before)) = packets.split_last() else {
        panic!("no packet");
    };
    assert!(before.iter().all(Result::is_ok));
    if last.is_ok() {
        let mut writer = PayloadWriter::new();
        for packet in packets.iter().flatten() {
            writer.push_text(packet.encode_text().as_bytes());
        }
        let body = writer.finish().try_into().unwrap();
        assert_eq!(Payload::decode(body).collect::<Vec<_>>(), packets);
    }
});
