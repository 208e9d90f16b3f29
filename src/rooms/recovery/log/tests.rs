use proptest::prelude::*;

use super::*;
use proto::socket_io::{EncodedPacket, Kind};

/// Makes a frame that can be distinguished from others.
fn frame(number: u64) -> Frame {
    Frame::new(EncodedPacket::plain(
        Kind::Disconnect,
        &format!("/{number}"),
        None,
    ))
}

fn number(frame: &Frame) -> u64 {
    let text = str::from_utf8(frame.text()).unwrap();
    text.trim_start_matches("41/")
        .trim_end_matches(',')
        .parse()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "any time will do")]
fn now() -> Instant {
    Instant::now()
}

fn log(max_packets: usize) -> Log {
    Log::new(*b"abcdef", max_packets, usize::MAX, Duration::from_secs(60))
}

fn id(n: u8) -> Sid {
    Sid::from_random([n; 15])
}

fn append(log: &mut Log, now: Instant, audience: Audience) {
    let next = frame(log.last() + 1);
    let mut forgotten = Vec::new();
    log.append(now, audience, next, &mut forgotten);
    drop(forgotten);
}

fn to(rooms: &[&str], except: &[&str]) -> Audience {
    let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
    Audience::Target(Target {
        rooms: (!rooms.is_empty()).then(|| names(rooms)),
        except: names(except),
        ..Target::default()
    })
}

fn since(log: &Log, number_seen: u64, id: Sid, stays: &[Stay]) -> Option<Vec<u64>> {
    let missed = log.since(number_seen, Asker { id, stays })?;
    Some(missed.iter().map(number).collect())
}

#[test]
fn offsets_are_read_as_they_were_written() {
    let log = log(10);
    for number in [0, 1, 77, u64::MAX] {
        assert_eq!(log.parse(&log.offset(number)), Some(Offset::At(number)));
    }
    assert_eq!(log.parse("ABCDEF12"), Some(Offset::Elsewhere));
    for text in [
        "", "abcdef", "abcdef+1", "abcdef-1", "abcdef1 ", "abcd", "abcdeä1",
    ] {
        assert_eq!(log.parse(text), None, "{text}");
    }
}

#[test]
fn whom_an_event_was_for_is_remembered() {
    let (mut log, now) = (log(10), now());
    append(&mut log, now, to(&[], &[]));
    append(&mut log, now, to(&["a"], &[]));
    append(&mut log, now, to(&["a", "b"], &["c"]));
    append(&mut log, now, Audience::Socket(id(1)));
    append(&mut log, now, to(&[id(2).as_str()], &[]));
    append(&mut log, now, to(&[], &[id(2).as_str()]));
    append(
        &mut log,
        now,
        Audience::Target(Target {
            except_id: Some(id(1)),
            ..Target::default()
        }),
    );
    let stay = |room: &str| Stay {
        room: room.into(),
        after: 0,
        until: None,
    };
    assert_eq!(since(&log, 0, id(1), &[]), Some(vec![1, 4, 6]));
    assert_eq!(since(&log, 0, id(2), &[]), Some(vec![1, 5, 7]));
    assert_eq!(
        since(&log, 0, id(3), &[stay("a")]),
        Some(vec![1, 2, 3, 6, 7])
    );
    assert_eq!(
        since(&log, 0, id(3), &[stay("b"), stay("c")]),
        Some(vec![1, 6, 7])
    );
    assert_eq!(since(&log, 6, id(3), &[]), Some(vec![7]));
    assert_eq!(since(&log, 7, id(3), &[]), Some(vec![]));
    assert_eq!(since(&log, 8, id(3), &[]), None);
}

#[test]
fn what_is_forgotten_is_not_taken_for_nothing() {
    let (mut log, now) = (log(2), now());
    for _ in 0..3 {
        append(&mut log, now, to(&[], &[]));
    }
    assert_eq!(since(&log, 0, id(1), &[]), None);
    assert_eq!(since(&log, 1, id(1), &[]), Some(vec![2, 3]));
    assert!(!log.reaches(0) && log.reaches(1) && log.reaches(3) && !log.reaches(4));
    let mut forgotten = Vec::new();
    log.expire(now + Duration::from_secs(60), &mut forgotten);
    assert_eq!(forgotten.len(), 2);
    assert_eq!((log.bytes, log.next_expiry()), (0, None));
    assert_eq!(since(&log, 2, id(1), &[]), None);
    // A client that has seen all events misses nothing.
    assert_eq!(since(&log, 3, id(1), &[]), Some(vec![]));
}

#[test]
fn what_was_withdrawn_is_missed_by_nobody() {
    let (mut log, now) = (log(10), now());
    for _ in 0..3 {
        append(&mut log, now, Audience::Socket(id(1)));
    }
    assert!(log.withdraw(2).is_some());
    assert!(log.withdraw(2).is_none());
    assert!(log.withdraw(0).is_none());
    assert!(log.withdraw(4).is_none());
    assert_eq!(since(&log, 0, id(1), &[]), Some(vec![1, 3]));
}

#[test]
fn so_many_stays_that_are_over_are_remembered() {
    let (mut log, now) = (log(usize::MAX), now());
    let (mut stays, mut floor) = (Vec::new(), 0);
    for _ in 0..MAX_ENDED + 10 {
        stays.push(Stay {
            room: "a".into(),
            after: log.last(),
            until: None,
        });
        append(&mut log, now, to(&["a"], &[]));
        floor = log.leave(&mut stays, "a").max(floor);
    }
    assert_eq!(stays.len(), MAX_ENDED);
    assert_eq!(floor, 10);
    assert_eq!(since(&log, 10, id(1), &stays).unwrap().len(), MAX_ENDED);
}

#[derive(Clone, Debug)]
enum Step {
    Join(u8),
    Leave(u8),
    Emit(Vec<u8>, Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let rooms = || proptest::collection::vec(0..4_u8, 0..3);
    prop_oneof![
        (0..4_u8).prop_map(Step::Join),
        (0..4_u8).prop_map(Step::Leave),
        (rooms(), rooms()).prop_map(|(to, except)| Step::Emit(to, except)),
    ]
}

proptest! {
    /// Replays exactly the events that a connected socket would have received.
    #[test]
    fn exactly_what_was_for_it_is_missed(steps in proptest::collection::vec(step(), 0..60), seen in 0..30_u64) {
        let (mut log, now) = (log(usize::MAX), now());
        let (mut rooms, mut stays) = (std::collections::BTreeSet::new(), Vec::new());
        let mut had = Vec::new();
        let name = |room: u8| format!("r{room}");
        for step in steps {
            match step {
                Step::Join(room) => {
                    if rooms.insert(room) {
                        stays.push(Stay { room: name(room).into(), after: log.last(), until: None });
                    }
                }
                Step::Leave(room) => {
                    rooms.remove(&room);
                    log.leave(&mut stays, &name(room));
                }
                Step::Emit(for_rooms, except) => {
                    let names = |rooms: &[u8]| rooms.iter().map(|&room| name(room).into()).collect();
                    let chosen = (!for_rooms.is_empty()).then(|| names(&for_rooms));
                    let target = Target { rooms: chosen, except: names(&except), ..Target::default() };
                    append(&mut log, now, Audience::Target(target));
                    let reached = for_rooms.is_empty() || for_rooms.iter().any(|room| rooms.contains(room));
                    if reached && !except.iter().any(|room| rooms.contains(room)) {
                        had.push(log.last());
                    }
                }
            }
        }
        if seen <= log.last() {
            had.retain(|&number| number > seen);
            prop_assert_eq!(since(&log, seen, id(1), &stays), Some(had));
        } else {
            prop_assert_eq!(since(&log, seen, id(1), &stays), None);
        }
    }
}
