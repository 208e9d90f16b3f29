//! The events of a namespace, in order, with their recipients.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Offset;
use super::positions::{Location, Positions};
use super::stays::Stay;
use super::{Position, Store, stays};
use crate::outbox::Frame;
use crate::rooms::{Room, Target};
use proto::Sid;

/// The size that a stored event counts in addition to its bytes.
const OVERHEAD: usize = 128;

/// The largest number of decimal digits of a number.
const MAX_DIGITS: usize = 20;

/// The maximum number of ended stays of a socket in rooms that are remembered.
const MAX_ENDED: usize = 1024;

/// A log that numbers events from 1, and stores the last of them within its limits.
#[derive(Debug)]
pub(crate) struct Log {
    epoch: [u8; Self::EPOCH],
    max_packets: usize,
    max_bytes: usize,
    keep: Duration,
    /// The number of the last event.
    last: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The positions of the events, if a store assigns them.
    positions: Option<Box<Positions>>,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    audience: Audience,
    /// The event, or `None` if it was withdrawn.
    frame: Option<Frame>,
    size: usize,
}

/// The recipients of an event.
#[derive(Debug)]
pub(crate) enum Audience {
    Socket(Sid),
    Target(Target),
}

/// A socket that asks for the events that it has missed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) id: Sid,
    pub(crate) stays: &'a [Stay],
}

impl Log {
    /// The length of the part of an offset that distinguishes one log from others.
    pub(crate) const EPOCH: usize = 6;

    pub(crate) fn new(
        epoch: [u8; Self::EPOCH],
        max_packets: usize,
        max_bytes: usize,
        keep: Duration,
    ) -> Self {
        Self {
            epoch,
            max_packets,
            max_bytes,
            keep,
            last: 0,
            entries: VecDeque::new(),
            bytes: 0,
            positions: None,
        }
    }

    /// Takes offsets from a store.
    pub(crate) fn positioned_by(mut self, store: Option<Arc<dyn Store>>) -> Self {
        if let Some(store) = store {
            self.positions = Some(Box::new(Positions::new(store)));
            // No client can have seen what the store had before: the first number stands for it.
            self.last = 1;
        }
        self
    }

    /// Returns the number of the last event, 0 before the first.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// Returns the number of the last event that has been removed.
    fn lost(&self) -> u64 {
        self.last - self.entries.len() as u64
    }

    /// Returns the offset of an event, as clients get it. If a store assigns the positions, it is that of the last
    /// event.
    pub(crate) fn offset(&self, number: u64) -> String {
        if let Some(positions) = &self.positions {
            return positions.last_offset();
        }
        let mut offset = String::with_capacity(Self::EPOCH + MAX_DIGITS);
        offset.push_str(str::from_utf8(&self.epoch).unwrap_or_default());
        push_decimal(&mut offset, number);
        offset
    }

    /// Parses an offset written by [`offset`](Self::offset), of any log.
    pub(crate) fn parse(&self, offset: &str) -> Option<Offset> {
        if let Some(positions) = &self.positions {
            return positions.parse(offset, self.lost());
        }
        let (epoch, number) = offset.split_at_checked(Self::EPOCH)?;
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|_| digits)?;
        Some(if epoch.as_bytes() == self.epoch {
            Offset::At(number)
        } else {
            Offset::Elsewhere
        })
    }

    /// Appends an event, whose number is then the last one.
    pub(crate) fn append(
        &mut self,
        now: Instant,
        audience: Audience,
        frame: Frame,
        forgotten: &mut Vec<Frame>,
    ) {
        let size = frame.size() + audience.size() + OVERHEAD;
        self.last += 1;
        self.bytes += size;
        self.entries.push_back(Entry {
            at: now,
            audience,
            frame: Some(frame),
            size,
        });
        while self.entries.len() > self.max_packets || self.bytes > self.max_bytes {
            self.forget_first(forgotten);
        }
        self.expire(now, forgotten);
    }

    /// Sets the position after which a store reports events.
    pub(crate) fn begin(&mut self, after: Position) {
        if let Some(positions) = &mut self.positions {
            positions.begin(after);
        }
    }

    /// Appends an event at its position in a store.
    pub(crate) fn append_at(
        &mut self,
        position: Position,
        now: Instant,
        audience: Audience,
        frame: Frame,
        forgotten: &mut Vec<Frame>,
    ) {
        if let Some(positions) = &mut self.positions {
            positions.push(position);
        }
        self.append(now, audience, frame, forgotten);
    }

    /// Records the position of an event that was delivered without it.
    pub(crate) fn pass(&mut self, position: Position) {
        if let Some(positions) = &mut self.positions {
            positions.pass(position);
        }
    }

    /// Records that an event was delivered without a position. Nobody can resume who has seen only earlier ones.
    pub(crate) fn cut(&mut self, forgotten: &mut Vec<Frame>) {
        self.clear(forgotten);
        // The event has a number, so no client can have seen it by its offset.
        self.last += 1;
        if let Some(positions) = &mut self.positions {
            positions.cut();
        }
    }

    /// Finds a position of the store in the log.
    pub(crate) fn locate(&self, position: Position) -> Location {
        let positions = self.positions.as_ref();
        positions.map_or(Location::Cut, |positions| {
            positions.locate(position, self.lost())
        })
    }

    /// Returns the position of the last event.
    pub(crate) fn last_position(&self) -> Position {
        let positions = self.positions.as_ref();
        positions.map_or_else(Position::default, |positions| positions.last())
    }

    /// Returns the first position that a client must have seen to resume.
    pub(crate) fn floor(&self) -> Position {
        let positions = self.positions.as_ref();
        positions.map_or_else(Position::default, |positions| positions.floor())
    }

    /// Withdraws a stored event, so that it is not replayed.
    pub(crate) fn withdraw(&mut self, number: u64) -> Option<Frame> {
        let at = number.checked_sub(self.lost() + 1)?;
        self.entries
            .get_mut(usize::try_from(at).ok()?)?
            .frame
            .take()
    }

    pub(crate) fn expire(&mut self, now: Instant, forgotten: &mut Vec<Frame>) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.forget_first(forgotten);
        }
    }

    /// Removes all events, when no client will ask for any of them.
    pub(super) fn clear(&mut self, forgotten: &mut Vec<Frame>) {
        while !self.entries.is_empty() {
            self.forget_first(forgotten);
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        // A time that the clock cannot represent is never reached.
        self.entries.front()?.at.checked_add(self.keep)
    }

    fn forget_first(&mut self, forgotten: &mut Vec<Frame>) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.size;
            if let Some(positions) = &mut self.positions {
                positions.forget_first();
            }
            forgotten.extend(entry.frame);
        }
    }

    /// Returns the events after one that were for a socket. Returns `None` if not all of them are stored any more, or
    /// if the number is beyond the last event.
    pub(crate) fn since(&self, number: u64, asker: Asker<'_>) -> Option<Vec<Frame>> {
        let asker = Whereabouts::of(asker);
        if number > self.last {
            return None;
        }
        let seen = number.checked_sub(self.lost())?;
        let skipped = usize::try_from(seen).ok()?;
        let numbered = (number + 1..).zip(self.entries.range(skipped..));
        let missed = numbered.filter(|(number, entry)| entry.audience.had(*number, &asker));
        Some(
            missed
                .filter_map(|(_, entry)| entry.frame.clone())
                .collect(),
        )
    }

    /// Returns true if [`since`](Self::since) would return events for this number.
    pub(crate) fn reaches(&self, number: u64) -> bool {
        (self.lost()..=self.last).contains(&number)
    }

    /// Ends a socket's stay in a room, from the next event on. Returns the number of the event up to which its stays
    /// are no longer known.
    pub(crate) fn leave(&self, stays: &mut Vec<Stay>, room: &str) -> u64 {
        let here = |stay: &&mut Stay| stay.until.is_none() && *stay.room == *room;
        if let Some(stay) = stays.iter_mut().find(here) {
            stay.until = Some(self.last);
        }
        self.prune(stays)
    }

    /// Merges the changes that two sockets of one session have made to its stays since `before`: see [`stays::merge`].
    /// Returns the stays, and the number of the event up to which they are no longer known.
    pub(crate) fn merge(
        &self,
        before: &[Stay],
        own: &[Stay],
        session: Vec<Stay>,
    ) -> (Vec<Stay>, u64) {
        let mut stays = stays::merge(before, own, session);
        let known_after = self.prune(&mut stays);
        (stays, known_after)
    }

    /// Removes the stays that no stored event falls into, and the oldest of too many that have ended. Returns the
    /// number of the event up to which the stays are no longer known.
    fn prune(&self, stays: &mut Vec<Stay>) -> u64 {
        let lost = self.lost();
        stays.retain(|stay| stay.until.is_none_or(|until| until > lost.max(stay.after)));
        let ended = stays.iter().filter(|stay| stay.until.is_some()).count();
        let (mut excess, mut known_after) = (ended.saturating_sub(MAX_ENDED), 0);
        if excess > 0 {
            stays.retain(|stay| {
                let until = stay.until.filter(|_| excess > 0);
                excess -= usize::from(until.is_some());
                known_after = until.map_or(known_after, |until| until.max(known_after));
                until.is_none()
            });
        }
        known_after
    }
}

impl Audience {
    /// Returns true if a socket was among the recipients of event `number`.
    fn had(&self, number: u64, asker: &Whereabouts<'_>) -> bool {
        match self {
            Self::Socket(id) => *id == asker.id,
            Self::Target(target) => {
                let was_in = |room: &Room| asker.was_in(room, number);
                { target.rooms.as_ref() }.is_none_or(|rooms| rooms.iter().any(was_in))
                    && !target.except.iter().any(was_in)
                    && target.except_id != Some(asker.id)
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Socket(_) => 0,
            Self::Target(target) => {
                let rooms = target.rooms.iter().flatten().chain(&target.except);
                rooms.map(|room| room.len() + size_of::<Room>()).sum()
            }
        }
    }
}

/// Appends a number in decimal digits. Each emit does it, and the formatter of the standard library takes ten times as
/// many instructions.
fn push_decimal(text: &mut String, number: u64) {
    let mut digits = [b'0'; MAX_DIGITS];
    let (mut rest, mut len) = (number, 0);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        len += 1;
        if rest == 0 {
            break;
        }
    }
    let written = digits.get(MAX_DIGITS - len..).unwrap_or_default();
    text.push_str(str::from_utf8(written).unwrap_or_default());
}

/// The stays of a socket, by room: there may be many stays, and many events to check against them.
struct Whereabouts<'a> {
    id: Sid,
    stays: HashMap<&'a str, Vec<&'a Stay>>,
}

impl<'a> Whereabouts<'a> {
    fn of(asker: Asker<'a>) -> Self {
        let mut stays: HashMap<_, Vec<_>> = HashMap::new();
        for stay in asker.stays {
            stays.entry(&*stay.room).or_default().push(stay);
        }
        Self {
            id: asker.id,
            stays,
        }
    }

    /// Returns true if the socket was in a room at event `number`.
    fn was_in(&self, room: &str, number: u64) -> bool {
        if *room == *self.id.as_str() {
            return true;
        }
        let Some(stays) = self.stays.get(room) else {
            return false;
        };
        // The stays are in the order of time; the last one that had begun decides.
        let begun = stays.partition_point(|stay| stay.after < number);
        let last = begun.checked_sub(1).and_then(|at| stays.get(at));
        last.is_some_and(|stay| stay.until.is_none_or(|until| number <= until))
    }
}

#[cfg(test)]
mod tests;
