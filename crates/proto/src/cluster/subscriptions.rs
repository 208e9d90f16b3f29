//! The topics that a server has subscribed to.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The topics of a server, and the changes that its engine has to be sent.
///
/// A topic `T` is what the engine subscribes to. It is subscribed to while it has a use `U`; one topic may have
/// several. Callers that wait for a confirmation leave a `W`, which is given back when the engine has confirmed the
/// topic, and dropped when it will not.
#[derive(Debug)]
pub struct Subscriptions<T, U, W> {
    topics: HashMap<T, Entry<U>>,
    /// The topics that have changed, each once.
    changed: VecDeque<T>,
    /// The topics without a use that are not released yet, in the order in which that is due.
    idle: VecDeque<(Instant, T)>,
    /// The callers that wait for a confirmation, by topic.
    waiting: HashMap<T, Vec<W>>,
    link: Link,
}

/// The state of the connection to the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    /// The first connection is being made.
    #[default]
    New,
    /// Changes are sent to the engine.
    Up,
    /// There is no connection.
    Down,
}

#[derive(Debug)]
struct Entry<U> {
    uses: Vec<(U, u32)>,
    is_confirmed: bool,
    /// True if the topic is in the queue of changes.
    is_queued: bool,
    /// True if the topic is in the queue of idle ones.
    is_idle: bool,
    /// The time at which the last use ended.
    unused_since: Option<Instant>,
}

/// A topic that is taken from a table, with its uses and the callers that wait for its confirmation.
#[derive(Debug)]
pub struct Taken<T, U, W> {
    /// The topic.
    pub topic: T,
    uses: Vec<(U, u32)>,
    waiting: Vec<W>,
}

/// The state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation<R> {
    /// The engine has confirmed it.
    Confirmed,
    /// The engine will confirm it.
    Expected(R),
    /// There is no connection to the engine, or no such subscription.
    Impossible,
}

/// The changes that an engine has to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes<T> {
    /// The topics to subscribe to.
    pub added: Vec<T>,
    /// The topics to unsubscribe from.
    pub removed: Vec<T>,
}

impl<T, U, W> Default for Subscriptions<T, U, W> {
    fn default() -> Self {
        Self {
            topics: HashMap::new(),
            changed: VecDeque::new(),
            idle: VecDeque::new(),
            waiting: HashMap::new(),
            link: Link::default(),
        }
    }
}

impl<T: Clone + Eq + Hash, U: Copy + PartialEq, W> Subscriptions<T, U, W> {
    fn queue(&mut self, topic: &T) {
        // Without a connection, the table is sent as a whole later.
        let is_up = self.link == Link::Up;
        if is_up
            && let Some(entry) = self.topics.get_mut(topic)
            && !std::mem::replace(&mut entry.is_queued, true)
        {
            self.changed.push_back(topic.clone());
        }
    }

    /// Adds a use of a topic.
    pub fn insert(&mut self, topic: &T, topic_use: U) {
        let entry = self.topics.entry(topic.clone()).or_insert_with(|| Entry {
            uses: Vec::with_capacity(1),
            is_confirmed: false,
            is_queued: false,
            is_idle: false,
            unused_since: None,
        });
        entry.unused_since = None;
        match entry.uses.iter_mut().find(|(known, _)| *known == topic_use) {
            Some((_, count)) => *count += 1,
            None => entry.uses.push((topic_use, 1)),
        }
        if !entry.is_confirmed {
            self.queue(topic);
        }
    }

    /// Removes a use of a topic, which is released after a delay if there is no other.
    pub fn remove(&mut self, topic: &T, topic_use: U, delay: Duration, now: Instant) {
        let is_up = self.link == Link::Up;
        let Some(entry) = self.topics.get_mut(topic) else {
            return;
        };
        if let Some((_, count)) = entry.uses.iter_mut().find(|(known, _)| *known == topic_use) {
            *count -= 1;
        }
        entry.uses.retain(|(_, count)| *count > 0);
        if !entry.uses.is_empty() {
            return;
        }
        if !is_up {
            self.topics.remove(topic);
            self.waiting.remove(topic);
        } else if delay.is_zero() {
            self.queue(topic);
        } else {
            entry.unused_since = Some(now);
            if !std::mem::replace(&mut entry.is_idle, true) {
                self.idle.push_back((now + delay, topic.clone()));
            }
        }
    }

    /// Queues the idle topics whose delay is over. Returns the time at which the next is due.
    pub fn release(&mut self, delay: Duration, now: Instant) -> Option<Instant> {
        while let Some((due, topic)) = self.idle.front() {
            if *due > now {
                return Some(*due);
            }
            let topic = topic.clone();
            self.idle.pop_front();
            let Some(entry) = self.topics.get_mut(&topic) else {
                continue;
            };
            entry.is_idle = false;
            let Some(since) = entry.unused_since else {
                continue;
            };
            if since + delay <= now {
                self.queue(&topic);
            } else {
                // It was used again meanwhile. This is not quite in order, so the next ones may be released later.
                entry.is_idle = true;
                self.idle.push_back((since + delay, topic));
            }
        }
        None
    }

    /// Returns whether the engine has confirmed a topic. If it will, `wait` creates the two ends by which the caller
    /// waits.
    pub fn confirmation<R>(&mut self, topic: &T, wait: impl FnOnce() -> (W, R)) -> Confirmation<R> {
        match self.topics.get(topic) {
            Some(entry) if entry.is_confirmed => Confirmation::Confirmed,
            Some(_) if self.link != Link::Down => {
                let (waiting, result) = wait();
                self.waiting.entry(topic.clone()).or_default().push(waiting);
                Confirmation::Expected(result)
            }
            _ => Confirmation::Impossible,
        }
    }

    /// Returns the uses that the messages of a topic belong to.
    pub fn uses(&self, topic: &T) -> impl Iterator<Item = U> {
        let entry = self.topics.get(topic);
        let uses = entry.into_iter().flat_map(|entry| &entry.uses);
        uses.map(|(topic_use, _)| *topic_use)
    }

    /// Returns all topics, which a new connection has to be sent. Changes are recorded from now on.
    pub fn connect(&mut self) -> Vec<T> {
        self.link = Link::Up;
        self.topics.keys().cloned().collect()
    }

    /// Records that there is no connection: nothing is confirmed, and nobody waits.
    pub fn disconnect(&mut self) {
        self.link = Link::Down;
        self.changed.clear();
        self.idle.clear();
        self.waiting.clear();
        self.topics.retain(|_, entry| !entry.uses.is_empty());
        for entry in self.topics.values_mut() {
            entry.is_confirmed = false;
            entry.is_queued = false;
            entry.is_idle = false;
        }
    }

    /// Takes the used topics for which `selects` returns true out of the table. The engine is not told.
    pub fn extract(&mut self, selects: impl Fn(&T) -> bool) -> Vec<Taken<T, U, W>> {
        let taken = self.topics.extract_if(|topic, _| selects(topic));
        let used = taken.filter(|(_, entry)| !entry.uses.is_empty());
        let waiting = &mut self.waiting;
        let taken = used.map(|(topic, entry)| Taken {
            waiting: waiting.remove(&topic).unwrap_or_default(),
            uses: entry.uses,
            topic,
        });
        taken.collect()
    }

    /// Adds a topic that was taken from another table.
    pub fn adopt(&mut self, taken: Taken<T, U, W>) {
        let Taken {
            topic,
            uses,
            waiting,
        } = taken;
        for (topic_use, count) in uses {
            for _ in 0..count {
                self.insert(&topic, topic_use);
            }
        }
        if self.link == Link::Down || waiting.is_empty() {
            return;
        }
        self.waiting.entry(topic).or_default().extend(waiting);
    }

    /// Records that the engine has ended a subscription by itself. Returns true if the topic is still used: it has to
    /// be subscribed to again, by [`retry`](Self::retry).
    pub fn revoke(&mut self, topic: &T) -> bool {
        let Some(entry) = self.topics.get_mut(topic) else {
            return false;
        };
        entry.is_confirmed = false;
        !entry.uses.is_empty()
    }

    /// Queues all topics that are used and not confirmed. They may be those that the engine is confirming now.
    pub fn retry(&mut self) {
        let unconfirmed = { self.topics.iter() }
            .filter(|(_, entry)| !entry.is_confirmed && !entry.uses.is_empty());
        let unconfirmed: Vec<_> = unconfirmed.map(|(topic, _)| topic.clone()).collect();
        unconfirmed.iter().for_each(|topic| self.queue(topic));
    }

    /// Takes at most `max` changes. Topics that are removed count as unconfirmed at once.
    pub fn take(&mut self, max: usize) -> Changes<T> {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let count = self.changed.len().min(max);
        let changed: Vec<_> = self.changed.drain(..count).collect();
        for topic in changed {
            let Some(entry) = self.topics.get_mut(&topic) else {
                continue;
            };
            entry.is_queued = false;
            match (entry.uses.is_empty(), entry.is_confirmed) {
                (false, false) => added.push(topic),
                (true, true) => {
                    entry.is_confirmed = false;
                    removed.push(topic);
                }
                (true, false) => {
                    self.topics.remove(&topic);
                    self.waiting.remove(&topic);
                }
                (false, true) => {}
            }
        }
        Changes { added, removed }
    }

    /// Records that the engine has confirmed topics. Returns the callers that have waited for it.
    pub fn confirm(&mut self, topics: &[T]) -> Vec<W> {
        let mut confirmed = Vec::new();
        for topic in topics {
            let Some(entry) = self.topics.get_mut(topic) else {
                continue;
            };
            entry.is_confirmed = true;
            confirmed.extend(self.waiting.remove(topic).into_iter().flatten());
        }
        confirmed
    }

    /// Records that the engine has ended subscriptions.
    pub fn end(&mut self, topics: &[T]) {
        for topic in topics {
            let entry = self.topics.get(topic);
            if entry.is_some_and(|entry| entry.uses.is_empty()) {
                self.topics.remove(topic);
                self.waiting.remove(topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Table = Subscriptions<&'static str, u8, u32>;

    const DELAY: Duration = Duration::from_secs(5);

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn now() -> Instant {
        Instant::now()
    }

    fn connected() -> Table {
        let mut table = Table::default();
        assert!(table.connect().is_empty());
        table
    }

    /// Executes the changes as an engine does. Returns the topics that are added, and those that are removed.
    fn execute(table: &mut Table) -> (Vec<&'static str>, Vec<&'static str>) {
        let Changes { added, removed } = table.take(100);
        table.confirm(&added);
        table.end(&removed);
        (added, removed)
    }

    fn state(table: &mut Table, topic: &'static str) -> Confirmation<()> {
        table.confirmation(&topic, || (1, ()))
    }

    fn uses(table: &Table, topic: &'static str) -> Vec<u8> {
        table.uses(&topic).collect()
    }

    #[test]
    fn a_topic_is_subscribed_to_while_it_has_a_use() {
        let (mut table, now) = (connected(), now());
        table.insert(&"x", 1);
        table.insert(&"x", 1);
        table.insert(&"x", 2);
        assert_eq!(execute(&mut table).0, ["x"]);
        assert_eq!(uses(&table, "x"), [1, 2]);
        table.remove(&"x", 1, Duration::ZERO, now);
        table.remove(&"x", 2, Duration::ZERO, now);
        assert_eq!(execute(&mut table), (vec![], vec![]));
        assert_eq!(uses(&table, "x"), [1]);
        table.remove(&"x", 1, Duration::ZERO, now);
        assert_eq!(execute(&mut table).1, ["x"]);
        table.remove(&"x", 1, Duration::ZERO, now);
        assert!(table.topics.is_empty() && table.changed.is_empty());
    }

    #[test]
    fn a_topic_is_released_some_time_after_its_last_use() {
        let (mut table, now) = (connected(), now());
        table.insert(&"x", 1);
        execute(&mut table);
        table.remove(&"x", 1, DELAY, now);
        table.insert(&"x", 1);
        assert_eq!(state(&mut table, "x"), Confirmation::Confirmed);
        let later = now + DELAY / 2;
        table.remove(&"x", 1, DELAY, later);
        assert_eq!(table.release(DELAY, now + DELAY), Some(later + DELAY));
        assert_eq!(execute(&mut table), (vec![], vec![]));
        assert_eq!(table.release(DELAY, later + DELAY), None);
        assert_eq!(execute(&mut table).1, ["x"]);
        assert!(table.topics.is_empty() && table.idle.is_empty());
    }

    #[test]
    fn a_use_that_begins_while_a_topic_is_released_subscribes_again() {
        let (mut table, now) = (connected(), now());
        table.insert(&"x", 1);
        execute(&mut table);
        table.remove(&"x", 1, Duration::ZERO, now);
        let leaving = table.take(100);
        assert_eq!(leaving.removed, ["x"]);
        table.insert(&"x", 1);
        assert_eq!(state(&mut table, "x"), Confirmation::Expected(()));
        table.end(&leaving.removed);
        assert_eq!(table.take(100).added, ["x"]);
        assert_eq!(table.confirm(&["x"]), [1]);
        assert_eq!(state(&mut table, "x"), Confirmation::Confirmed);
    }

    #[test]
    fn nobody_waits_for_a_connection_that_is_lost() {
        let (mut table, now) = (connected(), now());
        table.insert(&"x", 1);
        assert_eq!(state(&mut table, "x"), Confirmation::Expected(()));
        table.disconnect();
        assert!(table.waiting.is_empty());
        assert_eq!(state(&mut table, "x"), Confirmation::Impossible);
        table.insert(&"y", 1);
        table.remove(&"y", 1, DELAY, now);
        assert_eq!(table.connect(), ["x"]);
        assert!(table.confirm(&["x"]).is_empty());
        assert_eq!(state(&mut table, "x"), Confirmation::Confirmed);
    }

    #[test]
    fn only_what_is_subscribed_to_is_awaited() {
        let mut table = connected();
        assert_eq!(state(&mut table, "x"), Confirmation::Impossible);
        table.insert(&"x", 1);
        table.remove(&"x", 1, Duration::ZERO, now());
        assert_eq!(execute(&mut table), (vec![], vec![]));
        assert_eq!(state(&mut table, "x"), Confirmation::Impossible);
    }

    #[test]
    fn a_topic_that_the_engine_has_ended_is_subscribed_to_again() {
        let mut table = connected();
        for topic in ["x", "y"] {
            table.insert(&topic, 1);
        }
        execute(&mut table);
        assert!(table.revoke(&"x"));
        assert!(!table.revoke(&"unknown"));
        assert_eq!(state(&mut table, "x"), Confirmation::Expected(()));
        table.retry();
        table.retry();
        assert_eq!(table.take(100).added, ["x"]);
        assert_eq!(table.confirm(&["x"]), [1]);
        table.retry();
        assert_eq!(execute(&mut table), (vec![], vec![]));
    }

    #[test]
    fn topics_move_to_another_table_with_their_uses_and_those_who_wait() {
        let (mut from, mut to) = (connected(), connected());
        for topic in ["x", "x", "y"] {
            from.insert(&topic, 1);
        }
        from.insert(&"x", 2);
        execute(&mut from);
        from.revoke(&"x");
        assert_eq!(state(&mut from, "x"), Confirmation::Expected(()));
        let taken = from.extract(|topic| *topic == "x");
        assert_eq!(taken.len(), 1);
        taken.into_iter().for_each(|taken| to.adopt(taken));
        assert_eq!((uses(&from, "x"), uses(&to, "x")), (vec![], vec![1, 2]));
        assert!(from.waiting.is_empty());
        assert_eq!(to.take(100).added, ["x"]);
        assert_eq!(to.confirm(&["x"]), [1]);
        to.remove(&"x", 1, Duration::ZERO, now());
        assert_eq!(uses(&to, "x"), [1, 2]);
    }
}
