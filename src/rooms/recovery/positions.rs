//! The positions that a store has given to the events of a log.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::event::Offset;
use super::{Position, Store};

/// The location of a position in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// After the event with this number.
    At(u64),
    /// Before the events of the log. The store has those up to this position.
    Before(Position),
    /// After events that have not arrived yet.
    Ahead,
    /// Before an event that was delivered without a position.
    Cut,
}

/// The positions of the events of a log, whose numbers count only the events of this server's log.
pub(super) struct Positions {
    store: Arc<dyn Store>,
    /// The positions of the entries of the log, in order.
    entries: VecDeque<Position>,
    /// The position of the last event.
    last: Position,
    /// The position of the last event that the log has removed.
    lost: Position,
    /// The first position from which a client can have seen every event that it was sent with an offset.
    floor: Position,
}

impl Positions {
    pub(super) const fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            entries: VecDeque::new(),
            last: Position(0),
            lost: Position(0),
            floor: Position(0),
        }
    }

    /// Sets the position after which events arrive. Earlier ones are in the store only.
    pub(super) const fn begin(&mut self, after: Position) {
        (self.last, self.lost) = (after, after);
    }

    pub(super) fn push(&mut self, position: Position) {
        self.last = position;
        self.entries.push_back(position);
    }

    /// Records that the log has removed its first entry.
    #[cold]
    pub(super) fn forget_first(&mut self) {
        self.lost = self.entries.pop_front().unwrap_or(self.lost);
    }

    /// Records a position whose event was delivered before it was known.
    pub(super) fn pass(&mut self, position: Position) {
        self.last = self.last.max(position);
    }

    /// Records that an event was delivered without a position. Clients that have seen only events before it cannot
    /// recover: nobody knows whether they have it.
    pub(super) fn cut(&mut self) {
        self.floor = self.last.after();
        self.lost = self.floor;
    }

    pub(super) const fn floor(&self) -> Position {
        self.floor
    }

    /// Returns the offset of the last event.
    #[cold]
    pub(super) fn last_offset(&self) -> String {
        self.store.offset(self.last)
    }

    /// Returns the position of the last event.
    pub(super) const fn last(&self) -> Position {
        self.last
    }

    /// Parses an offset. `lost` is the number of the last event that the log has removed.
    pub(super) fn parse(&self, offset: &str, lost: u64) -> Option<Offset> {
        let position = self.store.parse(offset)?;
        Some(match self.locate(position, lost) {
            Location::At(number) => Offset::At(number),
            Location::Cut | Location::Before(_) | Location::Ahead => Offset::Unknown,
        })
    }

    /// Finds a position in the log.
    pub(super) fn locate(&self, position: Position, lost: u64) -> Location {
        if position < self.floor {
            Location::Cut
        } else if position < self.lost {
            Location::Before(self.lost)
        } else if position > self.last {
            Location::Ahead
        } else {
            let seen = self.entries.partition_point(|entry| *entry <= position);
            Location::At(lost + seen as u64)
        }
    }
}

impl fmt::Debug for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Positions")
            .field("last", &self.last)
            .field("lost", &self.lost)
            .field("floor", &self.floor)
            .finish_non_exhaustive()
    }
}
