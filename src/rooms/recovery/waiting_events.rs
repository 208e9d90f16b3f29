//! The events of this server whose positions are not known yet.

use std::collections::VecDeque;
use std::time::Instant;

use super::Store;
use super::event::LoggedEvent;

/// The memory that a waiting event needs beside its arguments, in bytes.
const OVERHEAD: usize = 128;

/// The events that a store has been given and that wait for their positions, in the order of the emits.
#[derive(Debug, Default)]
pub(crate) struct WaitingEvents {
    last: u64,
    events: VecDeque<WaitingEvent>,
    bytes: usize,
}

#[derive(Debug)]
struct WaitingEvent {
    token: u64,
    event: LoggedEvent,
    since: Instant,
    size: usize,
}

impl WaitingEvents {
    /// Adds an event and hands it to the store. Returns false if the store does not take it.
    pub(crate) fn push(&mut self, event: LoggedEvent, since: Instant, store: &dyn Store) -> bool {
        self.last += 1;
        let token = self.last;
        let taken = store.append(token, &event.stored());
        self.add(token, event, since);
        taken
    }

    fn add(&mut self, token: u64, event: LoggedEvent, since: Instant) {
        let size = event.size() + OVERHEAD;
        self.bytes += size;
        self.events.push_back(WaitingEvent {
            token,
            event,
            since,
            size,
        });
    }

    /// Removes an event. Returns `None` if it waits no more.
    pub(crate) fn take(&mut self, token: u64) -> Option<LoggedEvent> {
        let at = self.events.binary_search_by_key(&token, |one| one.token);
        let taken = self.events.remove(at.ok()?)?;
        Some(self.count_off(taken))
    }

    /// Removes the first event.
    pub(crate) fn take_first(&mut self) -> Option<LoggedEvent> {
        let taken = self.events.pop_front()?;
        Some(self.count_off(taken))
    }

    /// Returns the time since which the first event waits.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.events.front().map(|first| first.since)
    }

    /// Returns true if more events or bytes wait than this.
    pub(crate) fn exceeds(&self, events: usize, bytes: usize) -> bool {
        self.events.len() > events || self.bytes > bytes
    }

    fn count_off(&mut self, taken: WaitingEvent) -> LoggedEvent {
        self.bytes -= taken.size;
        taken.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::Target;
    use proto::EncodedArgs;

    fn push(waiting: &mut WaitingEvents, since: Instant, name: &str) {
        let event = LoggedEvent {
            target: Target::default(),
            args: EncodedArgs::event(name, &()).unwrap(),
        };
        waiting.last += 1;
        waiting.add(waiting.last, event, since);
    }

    #[test]
    fn events_are_taken_by_their_tokens_or_in_order() {
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        let now = Instant::now();
        let mut waiting = WaitingEvents::default();
        for name in ["a", "b", "c"] {
            push(&mut waiting, now, name);
        }
        let name = |event: Option<LoggedEvent>| event.map(|event| event.args.json().to_owned());
        assert!(waiting.exceeds(2, usize::MAX) && waiting.exceeds(3, 3 * OVERHEAD));
        assert_eq!(name(waiting.take(2)).unwrap(), r#"["b"]"#);
        assert!(waiting.take(2).is_none());
        assert_eq!(name(waiting.take_first()).unwrap(), r#"["a"]"#);
        assert!(waiting.take(1).is_none());
        assert_eq!(waiting.since(), Some(now));
        assert_eq!(name(waiting.take(3)).unwrap(), r#"["c"]"#);
        assert_eq!((waiting.bytes, waiting.since()), (0, None));
        assert!(waiting.take_first().is_none());
    }
}
