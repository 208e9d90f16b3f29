//! The reading of a store's log, in which all clients share that resume sessions of other servers at the same time.
//!
//! They go through the log together: whoever has its turn reads the next page for the one that is furthest behind. So
//! the log is read once, however many clients come from a server that has ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::{LoggedEvent, Position, Store, StoreError};
use crate::sync::Lock;

/// The events of a page, with their positions.
pub(crate) type Events = Arc<[(Position, LoggedEvent)]>;

#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The positions after which clients need events, and the number of clients.
    readers: Lock<BTreeMap<Position, usize>>,
    /// The result of the last reads, while there are readers. The lock is held during a read.
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    page: Option<Page>,
    /// A position after which some events are not stored any more.
    too_old: Option<Position>,
}

#[derive(Debug)]
struct Page {
    after: Position,
    until: Position,
    events: Events,
}

/// A client that reads. It counts as a reader until it is dropped.
#[derive(Debug)]
pub(crate) struct PageReader<'a> {
    scan: &'a Scan,
    after: Position,
}

impl Scan {
    /// Adds a client that has seen the events up to a position.
    pub(crate) fn reader(&self, after: Position) -> PageReader<'_> {
        *self.readers.lock().entry(after).or_default() += 1;
        PageReader { scan: self, after }
    }

    fn remove(&self, after: Position) {
        let mut readers = self.readers.lock();
        if let Some(count) = readers.get_mut(&after) {
            *count -= 1;
            if *count == 0 {
                readers.remove(&after);
            }
        }
        let is_last = readers.is_empty();
        drop(readers);
        if is_last && let Ok(mut last) = self.last.try_lock() {
            *last = Last::default();
        }
    }

    /// Returns the position after which the next page is read: that of the reader that is furthest behind, but none
    /// that is known to be too old.
    fn next(&self, too_old: Option<Position>) -> Option<Position> {
        let readers = self.readers.lock();
        readers.keys().copied().find(|at| Some(*at) > too_old)
    }
}

impl PageReader<'_> {
    /// Returns the position up to which the client has the events.
    pub(crate) const fn after(&self) -> Position {
        self.after
    }

    /// Records that the client has the events up to a position.
    pub(crate) fn advance(&mut self, to: Position) {
        *self.scan.readers.lock().entry(to).or_default() += 1;
        self.scan.remove(std::mem::replace(&mut self.after, to));
    }

    /// Returns a page with the next events, which may begin with earlier ones; it has none that are later if there are
    /// no more. Returns `None` if the store does not have all of them any more.
    pub(crate) async fn page(&self, store: &dyn Store) -> Result<Option<Events>, StoreError> {
        loop {
            // The lock is fair: readers that a page was read for take it before the next one is read.
            let mut last = self.scan.last.lock().await;
            if let Some(page) = &last.page
                && (page.after..page.until).contains(&self.after)
            {
                return Ok(Some(Arc::clone(&page.events)));
            }
            if Some(self.after) <= last.too_old {
                return Ok(None);
            }
            let oldest = self.scan.next(last.too_old);
            let after = oldest.unwrap_or(self.after);
            let Some(events) = store.replay(after).await? else {
                last.too_old = Some(after);
                continue;
            };
            let events = events
                .into_iter()
                .map(|(position, event)| (position, event.into()));
            let events: Events = events.collect();
            let Some((until, _)) = events.last() else {
                return Ok(Some(events));
            };
            last.page = Some(Page {
                after,
                until: *until,
                events: Arc::clone(&events),
            });
        }
    }
}

impl Drop for PageReader<'_> {
    fn drop(&mut self) {
        self.scan.remove(self.after);
    }
}
