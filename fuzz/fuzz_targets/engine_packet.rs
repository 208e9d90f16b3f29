//! A packet that can be read means the same when it is written and read again.
#![no_main]

use axum_socketio_proto::engine_io::Packet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(packet) = Packet::decode_text(text.into()) {
        assert_eq!(Packet::decode_text(packet.encode_text()), Ok(packet));
    }
});
