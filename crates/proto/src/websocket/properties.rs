//! Properties that hold for any bytes, however they are split.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

type Outcome = (Vec<WebSocketEvent>, Option<ProtocolError>);

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let config = DecoderConfig {
        max_message: 400,
        ..DecoderConfig::default()
    };
    let mut decoder = FrameDecoder::new(config);
    let mut outcome = (Vec::new(), None);
    for mut input in pieces {
        loop {
            match decoder.next_event(&mut input) {
                Ok(Some(event)) => outcome.0.push(event),
                Ok(None) => break,
                Err(error) => outcome.1 = Some(error),
            }
        }
        assert!(input.is_empty(), "all input is taken");
    }
    outcome
}

fn any_event() -> impl Strategy<Value = WebSocketEvent> {
    let bytes = |len| vec(any::<u8>(), 0..len).prop_map(Bytes::from);
    let code = prop_oneof![1000..=1003u16, 1007..=1011u16, 3000..=4999u16];
    prop_oneof![
        "\\PC{0,100}".prop_map(|text| WebSocketEvent::Text(text.into())),
        bytes(400).prop_map(WebSocketEvent::Binary),
        bytes(126).prop_map(WebSocketEvent::Ping),
        bytes(126).prop_map(WebSocketEvent::Pong),
        Just(WebSocketEvent::Close(None)),
        (code, "\\PC{0,30}").prop_map(|(code, reason)| {
            let code = CloseCode::on_wire(code).unwrap();
            let reason = reason.into();
            WebSocketEvent::Close(Some(CloseFrame { code, reason }))
        }),
    ]
}

/// Encodes an event as a client does.
fn encode(event: &WebSocketEvent, mask: [u8; 4]) -> Bytes {
    match event {
        WebSocketEvent::Text(text) => masked_frame(Opcode::Text, text.as_bytes(), mask),
        WebSocketEvent::Binary(data) => masked_frame(Opcode::Binary, data, mask),
        WebSocketEvent::Ping(data) => masked_frame(Opcode::Ping, data, mask),
        WebSocketEvent::Pong(data) => masked_frame(Opcode::Pong, data, mask),
        WebSocketEvent::Close(close) => {
            let payload = close
                .as_ref()
                .map(|close| [&close.code.get().to_be_bytes()[..], close.reason.as_ref()].concat());
            masked_frame(Opcode::Close, &payload.unwrap_or_default(), mask)
        }
    }
}

/// Generates frames that follow the rules or nearly do: most first bytes are valid ones.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => proptest::sample::select(vec![0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x89, 0x8a]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        "\\PC{0,60}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..150),
    ];
    let frame = (first, payload, any::<[u8; 4]>()).prop_map(|(first, payload, mask)| {
        let mut frame = masked_frame(Opcode::Text, &payload, mask).to_vec();
        frame[0] = first;
        frame
    });
    vec(frame, 0..6).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn encoded_packets_are_decoded(event in any_event(), mask in any::<[u8; 4]>()) {
        let bytes = encode(&event, mask);
        prop_assert_eq!(decode([&bytes[..]]), (vec![event.clone()], None));
        prop_assert_eq!(decode(bytes.chunks(1)), (vec![event], None));
    }

    #[test]
    fn any_cut_of_frames_means_the_same(bytes in frames(), end in any::<Index>(), at in any::<Index>()) {
        let (bytes, _) = bytes.split_at(end.index(2 * bytes.len() + 1).min(bytes.len()));
        let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));
        let whole = decode([bytes]);
        prop_assert_eq!(&decode([head, tail]), &whole);
        prop_assert_eq!(&decode(bytes.chunks(1)), &whole);
        prop_assert_eq!(&decode(bytes.chunks(7)), &whole);
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in vec(any::<u8>(), 0..100)) {
        let whole = decode([&bytes[..]]);
        prop_assert_eq!(decode(bytes.chunks(1)), whole);
    }
}
