//! The positions that a store has given to the events of a log.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::{Offset, Store};

/// The position of an event in a store. It orders the events of all servers. The first one is above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) u128);

impl Position {
    const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    const fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
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

    pub(super) fn push(&mut self, position: Position) {
        if self.last == Position(0) {
            // Earlier events of other servers are in the store only.
            self.lost = position.before();
        }
        self.last = position;
        self.entries.push_back(position);
    }

    /// Records that the log has removed its first entry.
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
    pub(super) fn last_offset(&self) -> String {
        self.store.offset(self.last)
    }

    /// Parses an offset. `lost` is the number of the last event that the log has removed.
    pub(super) fn parse(&self, offset: &str, lost: u64) -> Option<Offset> {
        let position = self.store.parse(offset)?;
        if position < self.floor || position < self.lost || position > self.last {
            return Some(Offset::Unknown);
        }
        let seen = self.entries.partition_point(|entry| *entry <= position);
        Some(Offset::At(lost + seen as u64))
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
