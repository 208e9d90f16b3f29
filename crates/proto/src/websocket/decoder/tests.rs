use super::*;
use crate::websocket::masked_frame;

/// Makes a frame that is the last of its message.
fn last(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    masked_frame(opcode, payload, [0x11, 0x82, 0xf3, 0x04]).to_vec()
}

/// Makes a frame that is not the last of its message.
fn more(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = last(opcode, payload);
    bytes[0] &= 0x7f;
    bytes
}

/// Returns all events of `input`, and the error that ended them.
fn feed(
    decoder: &mut FrameDecoder,
    mut input: &[u8],
) -> (Vec<WebSocketEvent>, Option<ProtocolError>) {
    let mut events = Vec::new();
    loop {
        match decoder.next_event(&mut input) {
            Ok(Some(event)) => events.push(event),
            Ok(None) => break,
            Err(error) => return (events, Some(error)),
        }
    }
    assert!(input.is_empty(), "all input is taken");
    (events, None)
}

fn decode(frames: &[Vec<u8>]) -> (Vec<WebSocketEvent>, Option<ProtocolError>) {
    feed(
        &mut FrameDecoder::new(DecoderConfig::default()),
        &frames.concat(),
    )
}

fn limited(max_message: usize) -> FrameDecoder {
    let config = DecoderConfig {
        max_message,
        ..DecoderConfig::default()
    };
    FrameDecoder::new(config)
}

fn text(text: &str) -> WebSocketEvent {
    WebSocketEvent::Text(text.into())
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(
        size_of::<FrameDecoder>() <= 40,
        "{}",
        size_of::<FrameDecoder>()
    );
}

#[test]
fn every_kind_of_event_comes_out_of_one_input() {
    let (events, error) = decode(&[
        last(Opcode::Text, "Hallo, wörld".as_bytes()),
        last(Opcode::Binary, &[0, 255, 7]),
        last(Opcode::Ping, b"there?"),
        last(Opcode::Pong, b""),
        last(Opcode::Text, b""),
        last(Opcode::Close, b""),
    ]);
    let expected = [
        text("Hallo, wörld"),
        WebSocketEvent::Binary(Bytes::from_static(&[0, 255, 7])),
        WebSocketEvent::Ping(Bytes::from_static(b"there?")),
        WebSocketEvent::Pong(Bytes::new()),
        text(""),
        WebSocketEvent::Close(None),
    ];
    assert_eq!(events, expected);
    assert_eq!(error, None);
}

#[test]
fn memory_is_held_only_between_the_ends_of_a_message() {
    let bytes = [
        more(Opcode::Text, b"a"),
        last(Opcode::Ping, b"p"),
        last(Opcode::Continuation, b"b"),
    ]
    .concat();
    let mut decoder = FrameDecoder::new(DecoderConfig::default());
    assert!(decoder.is_idle());
    for (at, byte) in bytes.iter().enumerate() {
        feed(&mut decoder, &[*byte]);
        assert_eq!(decoder.is_idle(), at == bytes.len() - 1, "after byte {at}");
    }
}

#[test]
fn a_header_alone_takes_little_memory() {
    let mut decoder = limited(usize::MAX);
    let header = [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(feed(&mut decoder, &header), (vec![], None));
    // More bytes in several pieces must not reserve more for each of them.
    for _ in 0..10 {
        assert_eq!(feed(&mut decoder, &[0]), (vec![], None));
    }
    let message = decoder
        .partial
        .as_ref()
        .and_then(|partial| partial.message.as_ref());
    assert!(
        message.unwrap().data.capacity() <= TRUST,
        "of 4 GiB that were announced"
    );
}

#[test]
fn a_message_that_came_in_pieces_takes_no_more_than_it_needs() {
    let mut decoder = FrameDecoder::new(DecoderConfig::default());
    let bytes = last(Opcode::Binary, &[7; 150_000]);
    let mut events = Vec::new();
    for piece in bytes.chunks(64 * 1024) {
        events.extend(feed(&mut decoder, piece).0);
    }
    let [WebSocketEvent::Binary(data)] = <[WebSocketEvent; 1]>::try_from(events).unwrap() else {
        panic!("not binary");
    };
    assert_eq!(Vec::from(data).capacity(), 150_000);
}

#[test]
fn a_ping_inside_a_message_comes_first() {
    let (events, _) = decode(&[
        more(Opcode::Text, b"one "),
        last(Opcode::Ping, b"?"),
        more(Opcode::Continuation, b"two "),
        last(Opcode::Continuation, b"three"),
    ]);
    assert_eq!(
        events,
        [
            WebSocketEvent::Ping(Bytes::from_static(b"?")),
            text("one two three")
        ]
    );
}

#[test]
fn a_continuation_needs_a_beginning() {
    let (_, error) = decode(&[last(Opcode::Continuation, b"end")]);
    assert_eq!(error, Some(ProtocolError::UnexpectedContinuation));
}

#[test]
fn a_message_may_not_begin_inside_another() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let (_, error) = decode(&[more(Opcode::Text, b"a"), last(opcode, b"b")]);
        assert_eq!(error, Some(ProtocolError::ContinuationExpected));
    }
}

#[test]
fn errors_in_the_first_byte_are_found_at_once() {
    let rows = [
        (0xc1, ProtocolError::ReservedBit),
        (0xa2, ProtocolError::ReservedBit),
        (0x99, ProtocolError::ReservedBit),
        (0x83, ProtocolError::UnknownOpcode(3)),
        (0x8f, ProtocolError::UnknownOpcode(15)),
        (0x09, ProtocolError::BadControl),
        (0x80, ProtocolError::UnexpectedContinuation),
    ];
    for (first, error) in rows {
        assert_eq!(
            feed(&mut FrameDecoder::new(DecoderConfig::default()), &[first]).1,
            Some(error)
        );
    }
}

#[test]
fn overlong_lengths_and_lengths_with_the_top_bit_are_refused() {
    let rows: [&[u8]; 3] = [
        &[0x82, 0xfe, 0, 125],
        &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        &[0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0],
    ];
    for header in rows {
        assert_eq!(
            feed(&mut limited(usize::MAX), header).1,
            Some(ProtocolError::BadLength)
        );
    }
}

#[test]
fn a_control_frame_has_at_most_125_bytes() {
    let (_, error) = decode(&[last(Opcode::Ping, &[0; 126])]);
    assert_eq!(error, Some(ProtocolError::BadControl));
}

#[test]
fn a_client_must_mask_its_frames() {
    let (_, error) = feed(
        &mut FrameDecoder::new(DecoderConfig::default()),
        b"\x81\x02hi",
    );
    assert_eq!(error, Some(ProtocolError::Unmasked));
    let config = DecoderConfig {
        require_mask: false,
        ..DecoderConfig::default()
    };
    let (events, _) = feed(&mut FrameDecoder::new(config), b"\x81\x02hi");
    assert_eq!(events, [text("hi")]);
}

#[test]
fn a_limit_is_kept_by_the_header_alone() {
    let bytes = last(Opcode::Binary, &[0; 11]);
    let (header, _) = bytes.split_at(6);
    assert_eq!(
        feed(&mut limited(10), header).1,
        Some(ProtocolError::TooBig {
            limit: 10,
            size: Some(11)
        })
    );
    assert_eq!(feed(&mut limited(11), &bytes).1, None);
}

#[test]
fn a_limit_counts_all_fragments_but_no_control_frames() {
    let begin = [more(Opcode::Binary, &[0; 6]), last(Opcode::Ping, &[0; 100])].concat();
    let fits = [begin.clone(), last(Opcode::Continuation, &[0; 4])].concat();
    assert_eq!(feed(&mut limited(10), &fits).0.len(), 2);
    let too_big = [begin, last(Opcode::Continuation, &[0; 5])].concat();
    assert_eq!(
        feed(&mut limited(10), &too_big).1,
        Some(ProtocolError::TooBig {
            limit: 10,
            size: Some(11)
        })
    );
}

#[test]
fn text_may_not_end_within_a_character() {
    let (_, error) = decode(&[last(Opcode::Text, b"\xe1\xbd")]);
    assert_eq!(error, Some(ProtocolError::Utf8));
    let (_, error) = decode(&[
        more(Opcode::Text, b"\xe1"),
        last(Opcode::Continuation, b"\xbd"),
    ]);
    assert_eq!(error, Some(ProtocolError::Utf8));
}

#[test]
fn frames_after_a_close_are_ignored() {
    let close = last(Opcode::Close, &[3, 232]);
    let (events, error) = decode(&[close, last(Opcode::Text, b"late"), vec![0xff; 40]]);
    assert!(
        matches!(&events[..], [WebSocketEvent::Close(Some(_))]),
        "{events:?}"
    );
    assert_eq!(error, None);
}

#[test]
fn input_after_an_error_is_ignored_and_not_buffered() {
    let mut decoder = FrameDecoder::new(DecoderConfig::default());
    let bad = [more(Opcode::Text, b"a"), last(Opcode::Text, b"b")].concat();
    assert!(feed(&mut decoder, &bad).1.is_some());
    assert!(decoder.is_idle());
    assert_eq!(
        feed(&mut decoder, &last(Opcode::Text, b"late")),
        (vec![], None)
    );
    assert!(decoder.is_idle());
}
