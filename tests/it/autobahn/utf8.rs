//! Section 6: text that is valid UTF-8, and text that is not, with the position of the invalid byte.
//!
//! The sequences from 6.5 on are those of Markus Kuhn's [stress test], as in the suite.
//!
//! [stress test]: https://www.cl.cam.ac.uk/~mgk25/ucs/examples/UTF-8-test.txt

use super::case::{Case, Frame, Got, Step, case, continuation, fragmented, text};

const GERMAN: &str = "Hello-µ@ßöäüàá-UTF-8!!";
/// The text "κόσμε", with an accent that takes three bytes.
const GREEK: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
const EDITED: &[u8] = b"edited";

pub(super) fn all() -> Vec<Case> {
    let stress = (5..).zip(stress()).flat_map(|(group, rows)| {
        let rows = (1..).zip(rows);
        rows.map(move |(row, (valid, bytes))| whole(format!("6.{group}.{row}"), valid, bytes))
    });
    fragments()
        .into_iter()
        .chain(fail_fast())
        .chain(stress)
        .collect()
}

/// Creates the cases 6.1 to 6.3.
fn fragments() -> Vec<Case> {
    let middle = "middle frame payload";
    let (start, end) = ("Hello-µ@ßöä", "üàá-UTF-8!!");
    let german = || Got::Text(GERMAN.into());
    let surrogate = [GREEK, b"\xed\xa0\x80", EDITED].concat();
    vec![
        case("6.1.1").send(&[text("")]).expect(Got::Text(vec![])),
        case("6.1.2")
            .send(&[text("").more(), continuation("").more(), continuation("")])
            .expect(Got::Text(vec![])),
        case("6.1.3")
            .send(&[
                text("").more(),
                continuation(middle).more(),
                continuation(""),
            ])
            .expect(Got::Text(middle.into())),
        case("6.2.1").send(&[text(GERMAN)]).expect(german()),
        case("6.2.2")
            .send(&[text(start).more(), continuation(end)])
            .expect(german()),
        case("6.2.3")
            .send(&fragmented(1, GERMAN.as_bytes(), 1))
            .expect(german()),
        case("6.2.4")
            .send(&fragmented(1, GREEK, 1))
            .expect(Got::Text(GREEK.into())),
        case("6.3.1").send(&[text(surrogate.clone())]).closed(1007),
        case("6.3.2")
            .send(&fragmented(1, &surrogate, 1))
            .closed(1007),
    ]
}

/// Creates the cases 6.4: the invalid byte is refused before the message, or even its frame, has ended. The last part
/// is never sent.
fn fail_fast() -> Vec<Case> {
    // The code point is above U+10FFFF, so its second byte is invalid.
    let payload = [GREEK, b"\xf4\x90\x80\x80", EDITED].concat();
    let [in_text, to_the_byte] = [GREEK.len(), 12].map(|end| payload.split_at(end));
    let [four, one] = [4, 1];
    let in_frames = |id: &str, (good, rest): (&[u8], &[u8]), bad: usize| {
        let (bad, _) = rest.split_at(bad);
        refused(
            id,
            text(good).more().encode(),
            continuation(bad).more().encode(),
        )
    };
    let header = text(payload.clone()).encode().len() - payload.len();
    let in_chops = |id: &str, (good, _): (&[u8], &[u8]), bad: usize| {
        let frame = text(payload.clone()).encode();
        let (first, rest) = frame.split_at(header + good.len());
        let (second, _) = rest.split_at(bad);
        refused(id, first.into(), second.into())
    };
    vec![
        in_frames("6.4.1", in_text, four),
        in_frames("6.4.2", to_the_byte, one),
        in_chops("6.4.3", in_text, four),
        in_chops("6.4.4", to_the_byte, one),
    ]
}

/// Creates a case whose first part is accepted, and whose second is refused at once.
fn refused(id: &str, good: Vec<u8>, bad: Vec<u8>) -> Case {
    let case = case(id).write(good).step(Step::Quiet);
    case.write(bad).step(Step::AwaitClose).closed(1007)
}

fn whole(id: String, valid: bool, bytes: Vec<u8>) -> Case {
    let sent = case(id).send(&[Frame::new(1, bytes.clone())]);
    if valid {
        sent.expect(Got::Text(bytes))
    } else {
        sent.closed(1007)
    }
}

type Rows = Vec<(bool, Vec<u8>)>;

fn good<const N: usize>(sequences: [&[u8]; N]) -> Rows {
    sequences.map(|bytes| (true, bytes.to_vec())).to_vec()
}

fn bad<const N: usize>(sequences: [&[u8]; N]) -> Rows {
    sequences.map(|bytes| (false, bytes.to_vec())).to_vec()
}

/// Returns the sequences of 6.5 to 6.23, each marked as valid UTF-8 or not.
fn stress() -> Vec<Rows> {
    let cut = [
        b"\xc0".as_slice(),
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xf8\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xfb\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf",
    ];
    vec![
        // Plain text.
        good([
            b"hello$world",
            b"hello\xc2\xa2world",
            b"hello\xe2\x82\xacworld",
            b"hello\xf0\xa4\xad\xa2world",
            GREEK,
        ]),
        greek_prefixes(),
        // The first sequence of each valid length, then of lengths that are no longer valid.
        good([b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"]),
        bad([b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"]),
        // The last sequence of each length.
        good([b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]),
        bad([
            b"\xf7\xbf\xbf\xbf",
            b"\xfb\xbf\xbf\xbf\xbf",
            b"\xfd\xbf\xbf\xbf\xbf\xbf",
        ]),
        // Other borders.
        [
            good([
                b"\xed\x9f\xbf",
                b"\xee\x80\x80",
                b"\xef\xbf\xbd",
                b"\xf4\x8f\xbf\xbf",
            ]),
            bad([b"\xf4\x90\x80\x80"]),
        ]
        .concat(),
        // Continuation bytes without a first byte.
        [
            bad([
                b"\x80",
                b"\xbf",
                b"\x80\xbf",
                b"\x80\xbf\x80",
                b"\x80\xbf\x80\xbf",
                b"\x80\xbf\x80\xbf\x80",
                b"\x80\xbf\x80\xbf\x80\xbf",
            ]),
            vec![(false, (0x80..0xbf).collect())],
        ]
        .concat(),
        // First bytes without a continuation, each followed by a space.
        [0xc0..0xdf, 0xe0..0xef, 0xf0..0xf7, 0xf8..0xfb, 0xfc..0xfd]
            .map(|starts| (false, starts.flat_map(|start| [start, b' ']).collect()))
            .to_vec(),
        // The last byte is missing: one by one, then all of them in a row.
        bad(cut),
        vec![(false, cut.concat())],
        // Bytes that never occur.
        bad([b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
        // Overlong sequences: a slash, the largest of each length, and zero.
        bad([
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xf8\x80\x80\x80\xaf",
            b"\xfc\x80\x80\x80\x80\xaf",
        ]),
        bad([
            b"\xc1\xbf",
            b"\xe0\x9f\xbf",
            b"\xf0\x8f\xbf\xbf",
            b"\xf8\x87\xbf\xbf\xbf",
            b"\xfc\x83\xbf\xbf\xbf\xbf",
        ]),
        bad([
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"\xf0\x80\x80\x80",
            b"\xf8\x80\x80\x80\x80",
            b"\xfc\x80\x80\x80\x80\x80",
        ]),
        // Surrogates of UTF-16, single and in pairs.
        bad([
            b"\xed\xa0\x80",
            b"\xed\xad\xbf",
            b"\xed\xae\x80",
            b"\xed\xaf\xbf",
            b"\xed\xb0\x80",
            b"\xed\xbe\x80",
            b"\xed\xbf\xbf",
        ]),
        bad([
            b"\xed\xa0\x80\xed\xb0\x80",
            b"\xed\xa0\x80\xed\xbf\xbf",
            b"\xed\xad\xbf\xed\xb0\x80",
            b"\xed\xad\xbf\xed\xbf\xbf",
            b"\xed\xae\x80\xed\xb0\x80",
            b"\xed\xae\x80\xed\xbf\xbf",
            b"\xed\xaf\xbf\xed\xb0\x80",
            b"\xed\xaf\xbf\xed\xbf\xbf",
        ]),
        non_characters(),
        // The block of specials, with the replacement character.
        ('\u{fff9}'..='\u{ffff}').map(encoded).collect(),
    ]
}

fn greek_prefixes() -> Rows {
    let between_characters = [2, 5, 7, 9, 11];
    let lengths = 1..=GREEK.len();
    lengths
        .map(|len| {
            (
                between_characters.contains(&len),
                GREEK.split_at(len).0.to_vec(),
            )
        })
        .collect()
}

/// Returns the last two code points of each plane: they are valid, though they are no characters.
fn non_characters() -> Rows {
    let ends = (0..=0x10_ffff).filter(|code| code & 0xfffe == 0xfffe);
    ends.filter_map(char::from_u32).map(encoded).collect()
}

fn encoded(character: char) -> (bool, Vec<u8>) {
    (true, character.to_string().into_bytes())
}
