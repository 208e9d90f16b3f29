//! The topics that a server has subscribed to.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::channels::{ChannelUse, Topic, TopicKind};

/// The topics of a server, and the changes that Redis has to be sent.
///
/// One topic may belong to several uses: the room `x` of `/` has the channel of the namespace `/#x`.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: HashMap<String, Entry>,
    patterns: HashMap<String, Entry>,
    /// The topics that have changed, each once.
    changed: VecDeque<Topic>,
    /// The topics without a use that are not released yet, in the order in which that is due.
    idle: VecDeque<(Instant, Topic)>,
    /// The callers that wait for a confirmation, by topic.
    waiting: HashMap<Topic, Vec<oneshot::Sender<()>>>,
    link: Link,
}

/// The state of the connection to Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    /// The first connection is being made.
    #[default]
    New,
    /// Changes are sent to Redis.
    Up,
    /// There is no connection.
    Down,
}

#[derive(Debug)]
struct Entry {
    uses: Vec<(ChannelUse, u32)>,
    is_confirmed: bool,
    /// True if the topic is in the queue of changes.
    is_queued: bool,
    /// True if the topic is in the queue of idle ones.
    is_idle: bool,
    /// The time at which the last use ended.
    unused_since: Option<Instant>,
}

/// The state of a subscription.
#[derive(Debug)]
pub(crate) enum Confirmation {
    Confirmed,
    Expected(oneshot::Receiver<()>),
    /// There is no connection to Redis.
    Impossible,
}

/// The changes that Redis has to be sent.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) added: Vec<Topic>,
    pub(crate) removed: Vec<Topic>,
}

impl Subscriptions {
    fn of(&mut self, topic: &Topic) -> &mut HashMap<String, Entry> {
        match topic.kind {
            TopicKind::Pattern => &mut self.patterns,
            TopicKind::Channel => &mut self.channels,
        }
    }

    fn entry(&mut self, topic: &Topic) -> Option<&mut Entry> {
        self.of(topic).get_mut(&topic.name)
    }

    fn queue(&mut self, topic: &Topic) {
        // Without a connection, the table is sent as a whole later.
        let is_up = self.link == Link::Up;
        if is_up
            && let Some(entry) = self.entry(topic)
            && !std::mem::replace(&mut entry.is_queued, true)
        {
            self.changed.push_back(topic.clone());
        }
    }

    /// Adds a use of a topic.
    pub(crate) fn insert(&mut self, topic: &Topic, channel_use: ChannelUse) {
        let entry = self
            .of(topic)
            .entry(topic.name.clone())
            .or_insert_with(|| Entry {
                uses: Vec::with_capacity(1),
                is_confirmed: false,
                is_queued: false,
                is_idle: false,
                unused_since: None,
            });
        entry.unused_since = None;
        match entry
            .uses
            .iter_mut()
            .find(|(known, _)| *known == channel_use)
        {
            Some((_, count)) => *count += 1,
            None => entry.uses.push((channel_use, 1)),
        }
        if !entry.is_confirmed {
            self.queue(topic);
        }
    }

    /// Removes a use of a topic, which is released after a delay if there is no other.
    pub(crate) fn remove(
        &mut self,
        topic: &Topic,
        channel_use: ChannelUse,
        delay: Duration,
        now: Instant,
    ) {
        let is_up = self.link == Link::Up;
        let Some(entry) = self.entry(topic) else {
            return;
        };
        if let Some((_, count)) = entry
            .uses
            .iter_mut()
            .find(|(known, _)| *known == channel_use)
        {
            *count -= 1;
        }
        entry.uses.retain(|(_, count)| *count > 0);
        if !entry.uses.is_empty() {
            return;
        }
        if !is_up {
            self.of(topic).remove(&topic.name);
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
    pub(crate) fn release(&mut self, delay: Duration, now: Instant) -> Option<Instant> {
        while let Some((due, topic)) = self.idle.front() {
            if *due > now {
                return Some(*due);
            }
            let topic = topic.clone();
            self.idle.pop_front();
            let Some(entry) = self.entry(&topic) else {
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

    /// Returns whether Redis has confirmed a topic.
    pub(crate) fn confirmation(&mut self, topic: &Topic) -> Confirmation {
        let link = self.link;
        match self.entry(topic) {
            Some(entry) if entry.is_confirmed => Confirmation::Confirmed,
            Some(_) if link != Link::Down => {
                let (confirm, confirmed) = oneshot::channel();
                let waiting = self.waiting.entry(topic.clone()).or_default();
                waiting.push(confirm);
                Confirmation::Expected(confirmed)
            }
            _ => Confirmation::Impossible,
        }
    }

    /// Returns the uses that the messages of a topic belong to.
    pub(crate) fn uses(&self, name: &str, kind: TopicKind) -> Vec<ChannelUse> {
        let topics = match kind {
            TopicKind::Pattern => &self.patterns,
            TopicKind::Channel => &self.channels,
        };
        let uses = topics.get(name).into_iter().flat_map(|entry| &entry.uses);
        uses.map(|(channel_use, _)| *channel_use).collect()
    }

    /// Returns all topics, which a new connection has to be sent. Changes are recorded from now on.
    pub(crate) fn connect(&mut self) -> Vec<Topic> {
        self.link = Link::Up;
        let channels = self.channels.keys().map(|name| Topic {
            name: name.clone(),
            kind: TopicKind::Channel,
        });
        let patterns = self.patterns.keys().map(|name| Topic {
            name: name.clone(),
            kind: TopicKind::Pattern,
        });
        channels.chain(patterns).collect()
    }

    /// Records that there is no connection: nothing is confirmed, and nobody waits.
    pub(crate) fn disconnect(&mut self) {
        self.link = Link::Down;
        self.changed.clear();
        self.idle.clear();
        self.waiting.clear();
        for topics in [&mut self.channels, &mut self.patterns] {
            topics.retain(|_, entry| !entry.uses.is_empty());
            for entry in topics.values_mut() {
                entry.is_confirmed = false;
                entry.is_queued = false;
                entry.is_idle = false;
            }
        }
    }

    /// Takes at most `max` changes. Topics that are removed count as unconfirmed at once.
    pub(crate) fn take(&mut self, max: usize) -> Changes {
        let mut changes = Changes::default();
        let count = self.changed.len().min(max);
        let changed: Vec<_> = self.changed.drain(..count).collect();
        for topic in changed {
            let Some(entry) = self.entry(&topic) else {
                continue;
            };
            entry.is_queued = false;
            match (entry.uses.is_empty(), entry.is_confirmed) {
                (false, false) => changes.added.push(topic),
                (true, true) => {
                    entry.is_confirmed = false;
                    changes.removed.push(topic);
                }
                (true, false) => {
                    self.of(&topic).remove(&topic.name);
                    self.waiting.remove(&topic);
                }
                (false, true) => {}
            }
        }
        changes
    }

    /// Records that Redis has confirmed topics.
    pub(crate) fn confirm(&mut self, topics: &[Topic]) {
        for topic in topics {
            let Some(entry) = self.entry(topic) else {
                continue;
            };
            entry.is_confirmed = true;
            for waiting in self.waiting.remove(topic).into_iter().flatten() {
                // The caller may not wait any more.
                let _ = waiting.send(());
            }
        }
    }

    /// Records that Redis has ended subscriptions.
    pub(crate) fn end(&mut self, topics: &[Topic]) {
        for topic in topics {
            if self.entry(topic).is_some_and(|entry| entry.uses.is_empty()) {
                self.of(topic).remove(&topic.name);
                self.waiting.remove(topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::cluster::Channel;

    use super::*;
    use crate::settings::RedisSettings;

    const DELAY: Duration = Duration::from_secs(5);

    /// Returns the topic of a channel.
    fn topic(channel: Channel<'_>) -> (Topic, ChannelUse) {
        let (mut topics, channel_use) = RedisSettings::new().topics(channel);
        (topics.remove(0), channel_use)
    }

    fn room(name: &'static str) -> (Topic, ChannelUse) {
        topic(Channel::Room {
            nsp: "/",
            room: name,
        })
    }

    fn connected() -> Subscriptions {
        let mut table = Subscriptions::default();
        assert_eq!(table.connect(), []);
        table
    }

    /// Executes the changes as Redis does. Returns the names that are added, and those that are removed.
    fn execute(table: &mut Subscriptions) -> (Vec<String>, Vec<String>) {
        let Changes { added, removed } = table.take(100);
        table.confirm(&added);
        table.end(&removed);
        let names = |topics: Vec<Topic>| topics.into_iter().map(|topic| topic.name).collect();
        (names(added), names(removed))
    }

    #[test]
    fn a_channel_is_subscribed_to_while_a_place_uses_it() {
        let (mut table, now) = (connected(), Instant::now());
        let (x, channel_use) = room("x");
        let (same, base) = topic(Channel::Namespace { nsp: "/#x" });
        assert_eq!(x, same);
        table.insert(&x, channel_use);
        table.insert(&x, channel_use);
        table.insert(&x, base);
        assert_eq!(execute(&mut table).0, ["socket.io#/#x#"]);
        assert_eq!(
            table.uses("socket.io#/#x#", TopicKind::Channel),
            [channel_use, base]
        );
        table.remove(&x, channel_use, Duration::ZERO, now);
        table.remove(&x, base, Duration::ZERO, now);
        assert_eq!(execute(&mut table), (vec![], vec![]));
        assert_eq!(
            table.uses("socket.io#/#x#", TopicKind::Channel),
            [channel_use]
        );
        table.remove(&x, channel_use, Duration::ZERO, now);
        assert_eq!(execute(&mut table).1, ["socket.io#/#x#"]);
        table.remove(&x, channel_use, Duration::ZERO, now);
        assert!(table.channels.is_empty() && table.changed.is_empty());
    }

    #[test]
    fn a_room_is_released_some_time_after_its_last_member_has_left() {
        let (mut table, now) = (connected(), Instant::now());
        let (x, channel_use) = room("x");
        table.insert(&x, channel_use);
        execute(&mut table);
        table.remove(&x, channel_use, DELAY, now);
        table.insert(&x, channel_use);
        assert!(matches!(table.confirmation(&x), Confirmation::Confirmed));
        let later = now + DELAY / 2;
        table.remove(&x, channel_use, DELAY, later);
        assert_eq!(table.release(DELAY, now + DELAY), Some(later + DELAY));
        assert_eq!(execute(&mut table), (vec![], vec![]));
        assert_eq!(table.release(DELAY, later + DELAY), None);
        assert_eq!(execute(&mut table).1.len(), 1);
        assert!(table.channels.is_empty() && table.idle.is_empty());
    }

    #[test]
    fn a_use_that_begins_while_a_topic_is_released_subscribes_again() {
        let (mut table, now) = (connected(), Instant::now());
        let (x, channel_use) = room("x");
        table.insert(&x, channel_use);
        execute(&mut table);
        table.remove(&x, channel_use, Duration::ZERO, now);
        let leaving = table.take(100);
        assert_eq!(leaving.removed.len(), 1);
        table.insert(&x, channel_use);
        assert!(matches!(table.confirmation(&x), Confirmation::Expected(_)));
        table.end(&leaving.removed);
        assert_eq!(execute(&mut table).0.len(), 1);
        assert!(matches!(table.confirmation(&x), Confirmation::Confirmed));
    }

    #[test]
    fn nobody_waits_for_a_connection_that_is_lost() {
        let (mut table, now) = (connected(), Instant::now());
        let (x, channel_use) = room("x");
        let (y, _) = room("y");
        table.insert(&x, channel_use);
        let Confirmation::Expected(mut expected) = table.confirmation(&x) else {
            panic!("{table:?}");
        };
        table.disconnect();
        assert!(expected.try_recv().is_err());
        assert!(matches!(table.confirmation(&x), Confirmation::Impossible));
        table.insert(&y, channel_use);
        table.remove(&y, channel_use, DELAY, now);
        let all = table.connect();
        assert_eq!(all, std::slice::from_ref(&x));
        table.confirm(&all);
        assert!(matches!(table.confirmation(&x), Confirmation::Confirmed));
    }
}
