//! The stays of a socket in rooms, which two threads have changed at the same time.

use std::collections::HashMap;

use crate::rooms::Room;

/// The time that a socket was in a room: from after one event up to another one.
#[derive(Clone, Debug)]
pub(crate) struct Stay {
    pub(crate) room: Room,
    pub(crate) after: u64,
    pub(crate) until: Option<u64>,
}

/// Merges the changes that two sockets of one session have made to its stays since `before`.
///
/// `own` are those of the socket that resumes the session, with the changes of its middleware. `session` are those of
/// the session itself, which its previous socket may have changed. A room that the middleware left is the middleware's
/// from that event on: the session is in it only if the middleware joined it again. All other rooms have the changes
/// of both.
///
/// Each slice is in the order of joining, and so is the result.
pub(super) fn merge(before: &[Stay], own: &[Stay], session: Vec<Stay>) -> Vec<Stay> {
    let left = left_rooms(before, own);
    let before = by_key(before);
    let mut stays: Vec<_> = session
        .into_iter()
        .filter_map(|stay| until_left(stay, &left))
        .collect();
    let added = own.iter().filter(|stay| !before.contains_key(&key(stay)));
    stays.extend(added.cloned());
    stays.sort_by_key(|stay| stay.after);
    united(stays)
}

/// A socket does not join a room twice after one event, unless it leaves the room in between and nothing of the stay
/// remains.
type Key<'a> = (&'a str, u64);

fn key(stay: &Stay) -> Key<'_> {
    (&*stay.room, stay.after)
}

fn by_key(stays: &[Stay]) -> HashMap<Key<'_>, &Stay> {
    stays.iter().map(|stay| (key(stay), stay)).collect()
}

/// Returns the number of the event after which a room was first left, for each room that was left since `before`.
fn left_rooms<'a>(before: &'a [Stay], own: &'a [Stay]) -> HashMap<&'a str, u64> {
    let mut left = HashMap::new();
    let own_by_key = by_key(own);
    for stay in before.iter().filter(|stay| stay.until.is_none()) {
        // A stay that is not stored any more ended before all stored events.
        let now = own_by_key.get(&key(stay));
        if let Some(until) = now.map_or(Some(0), |stay| stay.until) {
            left.insert(&*stay.room, until);
        }
    }
    let before = by_key(before);
    for stay in own.iter().filter(|stay| !before.contains_key(&key(stay))) {
        if let Some(until) = stay.until {
            left.entry(&*stay.room).or_insert(until);
        }
    }
    left
}

/// Ends a stay at the event after which its room was left. Returns `None` if it began later.
fn until_left(mut stay: Stay, left: &HashMap<&str, u64>) -> Option<Stay> {
    if let Some(&left) = left.get(&*stay.room) {
        let until = stay.until.map_or(left, |until| until.min(left));
        if until <= stay.after {
            return None;
        }
        stay.until = Some(until);
    }
    Some(stay)
}

/// Joins the stays in one room that overlap.
fn united(stays: Vec<Stay>) -> Vec<Stay> {
    let mut united: Vec<Stay> = Vec::with_capacity(stays.len());
    let mut last_in: HashMap<Room, usize> = HashMap::new();
    for stay in stays {
        let last = last_in.get(&stay.room).and_then(|&at| united.get_mut(at));
        match last.filter(|last| last.until.is_none_or(|until| stay.after <= until)) {
            Some(last) => last.until = last.until.zip(stay.until).map(|(a, b)| a.max(b)),
            None => {
                last_in.insert(stay.room.clone(), united.len());
                united.push(stay);
            }
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;

    type Short = (&'static str, u64, Option<u64>);

    fn stays(stays: &[Short]) -> Vec<Stay> {
        let stay = |&(room, after, until): &Short| Stay {
            room: room.into(),
            after,
            until,
        };
        stays.iter().map(stay).collect()
    }

    fn check(before: &[Short], own: &[Short], session: &[Short], merged: &[Short]) {
        let found = merge(&stays(before), &stays(own), stays(session));
        let found: Vec<_> = found
            .iter()
            .map(|stay| (&*stay.room, stay.after, stay.until))
            .collect();
        assert_eq!(found, merged, "own: {own:?}, session: {session:?}");
    }

    const BEFORE: &[Short] = &[("x", 1, Some(2)), ("a", 3, None)];

    #[test]
    fn a_room_that_neither_has_left_is_the_rooms_of_both() {
        check(BEFORE, BEFORE, BEFORE, BEFORE);
        let own = &[("a", 3, None), ("b", 6, None)];
        let session = &[("a", 3, None), ("c", 5, Some(6)), ("c", 7, None)];
        let merged = &[
            ("a", 3, None),
            ("c", 5, Some(6)),
            ("b", 6, None),
            ("c", 7, None),
        ];
        check(BEFORE, own, session, merged);
    }

    #[test]
    fn a_room_that_the_session_has_left_is_left() {
        check(BEFORE, BEFORE, &[("a", 3, Some(6))], &[("a", 3, Some(6))]);
        check(BEFORE, BEFORE, &[], &[]);
        let rejoined = &[("a", 3, Some(6)), ("a", 8, None)];
        check(BEFORE, BEFORE, rejoined, rejoined);
    }

    #[test]
    fn a_room_that_middleware_left_ends_at_that_event() {
        let own = &[("a", 3, Some(5))];
        check(BEFORE, own, &[("a", 3, None)], own);
        check(BEFORE, own, &[("a", 3, Some(7))], own);
        check(BEFORE, own, &[("a", 3, Some(4))], &[("a", 3, Some(4))]);
        // Nothing is left of a stay in which no event was sent.
        check(BEFORE, &[], &[("a", 3, None)], &[]);
        // The previous socket joined the room again.
        check(
            BEFORE,
            own,
            &[("a", 3, Some(4)), ("a", 6, None)],
            &[("a", 3, Some(4))],
        );
        let joined_and_left = &[("b", 6, Some(8))];
        check(&[], joined_and_left, &[("b", 7, None)], joined_and_left);
    }

    #[test]
    fn a_room_that_middleware_left_and_joined_again_has_a_gap() {
        let own = &[("a", 3, Some(5)), ("a", 7, None)];
        check(BEFORE, own, &[("a", 3, None)], own);
        check(
            BEFORE,
            &[("a", 7, None)],
            &[("a", 3, None)],
            &[("a", 7, None)],
        );
    }

    #[test]
    fn stays_that_overlap_are_one() {
        let own = &[("b", 4, None)];
        check(&[], own, &[("b", 5, Some(6))], own);
        check(&[], own, &[("b", 3, Some(6))], &[("b", 3, None)]);
        check(
            &[],
            own,
            &[("b", 1, Some(2))],
            &[("b", 1, Some(2)), ("b", 4, None)],
        );
        check(&[], &[("b", 4, None)], &[("b", 2, None)], &[("b", 2, None)]);
    }
}
