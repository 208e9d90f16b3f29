//! Section 1, echoes of every kind of length; section 3, reserved bits; section 4, reserved opcodes.

use super::case::{Case, Frame, Got, binary, case, close, ping, text};

const HELLO: &[u8] = b"Hello, world!";
const NOT_TEXT: &[u8] = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff";

/// The lengths at the borders of the three forms of a length; the last is repeated in small pieces.
const LENGTHS: [(usize, Option<usize>); 8] = [
    (0, None),
    (125, None),
    (126, None),
    (127, None),
    (128, None),
    (65535, None),
    (65536, None),
    (65536, Some(997)),
];

pub(super) fn echoes() -> Vec<Case> {
    let rows = (1..).zip(LENGTHS);
    let texts = rows.clone().map(|(row, (len, chop))| {
        let payload = vec![b'*'; len];
        let case = case(format!("1.1.{row}")).send(&[text(payload.clone())]);
        case.expect(Got::Text(payload))
            .chop(chop.unwrap_or(64 * 1024))
    });
    let binaries = rows.map(|(row, (len, chop))| {
        let payload = vec![0xfe; len];
        let case = case(format!("1.2.{row}")).send(&[binary(payload.clone())]);
        case.expect(Got::Binary(payload))
            .chop(chop.unwrap_or(64 * 1024))
    });
    texts.chain(binaries).collect()
}

pub(super) fn reserved_bits() -> Vec<Case> {
    // An echo of the first message, but no pong after the bad one.
    let between = |bits| [text(HELLO), text(HELLO).rsv(bits), ping("")];
    let hello = || Got::Text(HELLO.into());
    vec![
        case("3.1").send(&[text(HELLO).rsv(1)]).closed(1002),
        case("3.2").send(&between(2)).expect(hello()).closed(1002),
        case("3.3")
            .send_each(&between(3))
            .expect(hello())
            .closed(1002),
        case("3.4")
            .send(&between(4))
            .chop(1)
            .expect(hello())
            .closed(1002),
        case("3.5").send(&[binary(NOT_TEXT).rsv(5)]).closed(1002),
        case("3.6").send(&[ping(HELLO).rsv(6)]).closed(1002),
        case("3.7").send(&[close(1000, b"").rsv(7)]).closed(1002),
    ]
}

pub(super) fn reserved_opcodes() -> Vec<Case> {
    section_4(1, 3).chain(section_4(2, 11)).collect()
}

/// Creates the cases of the five opcodes from `first` on: alone, and between a message and a ping.
fn section_4(group: u8, first: u8) -> impl Iterator<Item = Case> {
    let alone = |row, payload: &str| {
        let frame = Frame::new(first + row - 1, payload);
        case(format!("4.{group}.{row}")).send(&[frame]).closed(1002)
    };
    let between = |row, payload: &[u8], chop| {
        let frames = [text(HELLO), Frame::new(first + row - 1, payload), ping("")];
        let case = case(format!("4.{group}.{row}")).send(&frames).chop(chop);
        case.expect(Got::Text(HELLO.into())).closed(1002)
    };
    [
        alone(1, ""),
        alone(2, "reserved opcode payload"),
        between(3, b"", 64 * 1024),
        between(4, HELLO, 64 * 1024),
        between(5, HELLO, 1),
    ]
    .into_iter()
}
