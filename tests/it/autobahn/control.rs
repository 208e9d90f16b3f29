//! Section 2, pings and pongs; section 7, the closing handshake.

use super::case::{Case, Frame, Got, Step, case, close, continuation, ping, pong, text};

const HELLO: &[u8] = b"Hello World!";
/// Text that is invalid in the middle, with a surrogate.
const BAD_UTF8: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited";

pub(super) fn pings() -> Vec<Case> {
    let echo = |id: &str, payload: &[u8]| {
        case(id)
            .send(&[ping(payload)])
            .expect(Got::Pong(payload.into()))
    };
    let normal = || close(1000, b"");
    let unsolicited = || pong("unsolicited pong payload");
    let ten: Vec<String> = (0..10).map(|i| format!("payload-{i}")).collect();
    let all_ten = |id: &str| {
        let frames: Vec<Frame> = ten.iter().map(|payload| ping(payload.as_str())).collect();
        let pongs = ten
            .iter()
            .map(|payload| Got::Pong(payload.as_bytes().into()));
        pongs.fold(case(id).send(&frames), Case::expect)
    };
    vec![
        echo("2.1", b""),
        echo("2.2", b"Hello, world!"),
        echo("2.3", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
        echo("2.4", &[0xfe; 125]),
        case("2.5").send(&[ping([0xfe; 126])]).closed(1002),
        echo("2.6", &[0xfe; 125]).chop(1),
        case("2.7").send(&[pong(""), normal()]).closed(1000),
        case("2.8").send(&[unsolicited(), normal()]).closed(1000),
        case("2.9")
            .send(&[unsolicited(), ping("ping payload")])
            .expect(Got::Pong(b"ping payload".into())),
        all_ten("2.10"),
        all_ten("2.11").chop(1),
    ]
}

pub(super) fn closing() -> Vec<Case> {
    let normal = || close(1000, b"");
    let empty = || Frame::new(8, "");
    let hello = || Got::Text(HELLO.into());
    let big = b"BAsd7&jh23"
        .iter()
        .copied()
        .cycle()
        .take(256 * 1024)
        .collect::<Vec<u8>>();
    let mut cases = vec![
        case("7.1.1").send(&[text(HELLO)]).expect(hello()),
        // Frames after a close are ignored.
        case("7.1.2").send(&[normal(), empty()]).closed(1000),
        case("7.1.3").send(&[normal(), ping("")]).closed(1000),
        case("7.1.4").send(&[normal(), text(HELLO)]).closed(1000),
        case("7.1.5")
            .send(&[
                text("fragment1").more(),
                normal(),
                continuation("fragment2"),
            ])
            .closed(1000),
        // The suite accepts any outcome; messages before a close are answered here.
        case("7.1.6")
            .send(&[text(big.clone()), text(HELLO), normal(), ping("")])
            .expect(Got::Text(big))
            .expect(hello())
            .closed(1000),
        case("7.3.1").send(&[empty()]).closed(None),
        case("7.3.2").send(&[Frame::new(8, "a")]).closed(1002),
        case("7.3.3").send(&[normal()]).closed(1000),
        case("7.3.4").send(&[close(1000, HELLO)]).closed(1000),
        case("7.3.5")
            .send(&[close(1000, &[b'*'; 123])])
            .closed(1000),
        case("7.3.6")
            .send(&[close(1000, &[b'*'; 124])])
            .closed(1002),
        // The suite accepts 1002 as well.
        case("7.5.1").send(&[close(1000, BAD_UTF8)]).closed(1007),
    ];
    let valid = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    cases.extend(
        (1..)
            .zip(valid)
            .map(|(row, code)| close_with(format!("7.7.{row}"), code, code)),
    );
    let invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
    cases.extend(
        (1..)
            .zip(invalid)
            .map(|(row, code)| close_with(format!("7.9.{row}"), code, 1002)),
    );
    // According to the suite, they are undefined by the RFC; they are refused here, like all codes outside the ranges.
    cases.extend(
        (1..)
            .zip([5000, 65535])
            .map(|(row, code)| close_with(format!("7.13.{row}"), code, 1002)),
    );
    cases
}

fn close_with(id: String, code: u16, answer: u16) -> Case {
    case(id)
        .send(&[close(code, b"")])
        .step(Step::AwaitClose)
        .closed(answer)
}
