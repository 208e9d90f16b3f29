//! Section 9: large messages, many fragments, small pieces, many messages.

use super::case::{Case, Frame, Got, Step, case, fragmented};

const K: usize = 1024;
const M: usize = 1024 * 1024;

/// The opcode of text and binary, the pattern of large messages, and the byte of the others.
const KINDS: [(u8, &[u8], u8); 2] = [(1, b"BAsd7&jh23", b'*'), (2, b"\x00\xfe\x23\xfa\xf0", 0xfe)];

pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, (opcode, pattern, byte)) in (0..).zip(KINDS) {
        let got = |payload| {
            if opcode == 1 {
                Got::Text(payload)
            } else {
                Got::Binary(payload)
            }
        };
        let repeated = |len| {
            pattern
                .iter()
                .copied()
                .cycle()
                .take(len)
                .collect::<Vec<u8>>()
        };

        // 9.1 and 9.2: messages of increasing size.
        let group = 1 + kind;
        for (row, len) in (1..).zip([64 * K, 256 * K, M, 4 * M, 8 * M, 16 * M]) {
            let case = case(format!("9.{group}.{row}")).send(&[Frame::new(opcode, repeated(len))]);
            cases.push(case.expect(got(repeated(len))));
        }
        // 9.3 and 9.4: 4 MiB in fragments.
        let group = 3 + kind;
        let sizes = [64, 256, K, 4 * K, 16 * K, 64 * K, 256 * K, M, 4 * M];
        for (row, size) in (1..).zip(sizes) {
            let payload = vec![byte; 4 * M];
            let case = case(format!("9.{group}.{row}")).send(&fragmented(opcode, &payload, size));
            cases.push(case.expect(got(payload)));
        }
        // 9.5 and 9.6: 1 MiB in small pieces.
        let group = 5 + kind;
        for (row, chop) in (1..).zip([64, 128, 256, 512, K, 2 * K]) {
            let case = case(format!("9.{group}.{row}")).send(&[Frame::new(opcode, repeated(M))]);
            cases.push(case.chop(chop).expect(got(repeated(M))));
        }
        // 9.7 and 9.8: a thousand messages, each sent after the previous one has been echoed.
        let group = 7 + kind;
        for (row, len) in (1..).zip([0, 16, 64, 256, K, 4 * K]) {
            let payload = vec![byte; len];
            let round = |case: Case, count| {
                let case = case.send(&[Frame::new(opcode, payload.clone())]);
                case.expect(got(payload.clone())).step(Step::Await(count))
            };
            cases.push((1..=1000).fold(case(format!("9.{group}.{row}")), round));
        }
    }
    cases
}
