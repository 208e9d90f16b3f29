//! Section 5, messages in fragments, with control frames between them; section 10, a message that its sender
//! fragmented.

use super::case::{Case, Frame, Got, Step, case, continuation, fragmented, ping, pong, text};

/// The way in which the frames of a case are sent.
type Sent = fn(Case, &[Frame]) -> Case;

/// The ways of most cases in section 5: in one write, frame by frame, and byte by byte.
const WAYS: [Sent; 3] = [
    |case, frames| case.send(frames),
    |case, frames| case.send_each(frames),
    |case, frames| case.send(frames).chop(1),
];

pub(super) fn fragmentation() -> Vec<Case> {
    let two = || [text("fragment1").more(), continuation("fragment2")];
    let joined = || Got::Text(b"fragment1fragment2".into());
    let mut cases = vec![
        // Control frames may not be fragmented.
        case("5.1")
            .send(&[ping("fragment1").more(), continuation("fragment2")])
            .closed(1002),
        case("5.2")
            .send(&[pong("fragment1").more(), continuation("fragment2")])
            .closed(1002),
    ];
    cases.extend(three_ways(3, &two(), |case| case.expect(joined())));
    let [first, second] = two();
    let with_ping = [first, ping("ping payload"), second];
    cases.extend(three_ways(6, &with_ping, |case| {
        case.expect(Got::Pong(b"ping payload".into()))
            .expect(joined())
    }));
    // The frame has no message to continue.
    let lost = || continuation("non-continuation payload");
    cases.extend(three_ways(9, &[lost(), text("Hello, world!")], |case| {
        case.closed(1002)
    }));
    cases.extend(three_ways(
        12,
        &[lost().more(), text("Hello, world!")],
        |case| case.closed(1002),
    ));
    let [first, second] = two();
    cases.push(
        case("5.15")
            .send(&[
                first,
                second,
                continuation("fragment3").more(),
                text("fragment4"),
            ])
            .expect(joined())
            .closed(1002),
    );
    let lost_twice = |lost: Frame| {
        let round = [lost, text("fragment2").more(), continuation("fragment3")];
        [round.clone(), round].concat()
    };
    cases.push(
        case("5.16")
            .send(&lost_twice(continuation("fragment1").more()))
            .closed(1002),
    );
    cases.push(
        case("5.17")
            .send(&lost_twice(continuation("fragment1")))
            .closed(1002),
    );
    // A message starts before the end of another.
    cases.push(
        case("5.18")
            .send(&[text("fragment1").more(), text("fragment2")])
            .closed(1002),
    );
    cases.push(with_two_pings("5.19", |case, frames| case.send(frames)));
    cases.push(with_two_pings("5.20", |case, frames| {
        case.send_each(frames)
    }));
    cases
}

pub(super) fn auto_fragmentation() -> Vec<Case> {
    let payload = vec![b'*'; 65536];
    let frames = fragmented(1, &payload, 1300);
    assert_eq!(frames.len(), 51, "50 of 1300 bytes and the rest");
    vec![case("10.1.1").send(&frames).expect(Got::Text(payload))]
}

/// Creates three cases from `id` on, which differ in the way in which their frames are sent.
fn three_ways(id: u8, frames: &[Frame], outcome: impl Fn(Case) -> Case) -> Vec<Case> {
    let cases = (id..).zip(WAYS);
    cases
        .map(|(id, sent)| outcome(sent(case(format!("5.{id}")), frames)))
        .collect()
}

/// Creates a case of five fragments and two pings. The second part is sent only after the answer to the first ping.
fn with_two_pings(id: &str, sent: Sent) -> Case {
    let part = [
        text("fragment1").more(),
        continuation("fragment2").more(),
        ping("pongme 1!"),
    ];
    let case = sent(case(id), &part).step(Step::Await(1)).step(Step::Quiet);
    let part = [
        continuation("fragment3").more(),
        continuation("fragment4").more(),
        ping("pongme 2!"),
        continuation("fragment5"),
    ];
    sent(case, &part)
        .expect(Got::Pong(b"pongme 1!".into()))
        .expect(Got::Pong(b"pongme 2!".into()))
        .expect(Got::Text(
            b"fragment1fragment2fragment3fragment4fragment5".into(),
        ))
}
