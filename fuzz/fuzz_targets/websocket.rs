//! Where the input is cut changes nothing of what a decoder makes of it.
#![no_main]

use axum_socketio_proto::websocket::{DecoderConfig, FrameDecoder, WebSocketEvent, ProtocolError};
use libfuzzer_sys::fuzz_target;

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<WebSocketEvent>, Option<ProtocolError>) {
    let mut config = DecoderConfig::default();
    config.max_message = 10_000;
    let mut decoder = FrameDecoder::new(config);
    let mut events = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.next_event(&mut piece) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((&size, data)) = input.split_first() else { return };
    let size = usize::from(size).max(1);
    assert_eq!(decode(data.chunks(size)), decode([data]));
});
