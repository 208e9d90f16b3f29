//! The other servers of a namespace, where servers announce themselves.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The id with which a program that is no server sends messages.
pub const EMITTER: &str = "emitter";

/// The maximum number of servers. Beyond it, ids are taken for those of other software.
const MAX_PEERS: usize = 10_000;

/// The maximum length of the id of a server, in bytes. Those of Node.js have 16.
const MAX_UID: usize = 128;

/// The times of heartbeats. Servers of Node.js have the same options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeats {
    /// The time between two heartbeats of a server.
    pub interval: Duration,
    /// The time without a message after which a server counts as gone.
    pub timeout: Duration,
}

/// The other servers of a namespace, known by the messages that they send. The time is counted from any fixed point.
#[derive(Debug)]
pub struct Peers {
    times: Heartbeats,
    /// The time of each server's last message.
    seen: HashMap<Box<str>, Duration>,
    /// The time of the next heartbeat.
    next: Option<Duration>,
}

/// The changes with time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// True if it is time for a heartbeat.
    pub beat: bool,
    /// The servers that have been silent for too long, and are gone.
    pub gone: Vec<Box<str>>,
}

impl Peers {
    /// Creates an empty table.
    #[must_use]
    pub fn new(times: Heartbeats) -> Self {
        Self {
            times,
            seen: HashMap::new(),
            next: None,
        }
    }

    /// Notes that a server has sent a message. An emitter is no server.
    pub fn note(&mut self, uid: &str, now: Duration) {
        if let Some(seen) = self.seen.get_mut(uid) {
            *seen = now;
        } else if uid != EMITTER && uid.len() <= MAX_UID && self.seen.len() < MAX_PEERS {
            self.seen.insert(uid.into(), now);
        }
    }

    /// Removes a server that has announced that it leaves. Returns true if it was known.
    pub fn remove(&mut self, uid: &str) -> bool {
        self.seen.remove(uid).is_some()
    }

    /// Notes that time has passed.
    pub fn tick(&mut self, now: Duration) -> Passed {
        let beat = self.next.is_some_and(|next| now >= next);
        if beat || self.next.is_none() {
            self.next = Some(now.saturating_add(self.times.interval));
        }
        let mut gone = Vec::new();
        self.seen.retain(|uid, seen| {
            let alive = now.saturating_sub(*seen) <= self.times.timeout;
            if !alive {
                gone.push(uid.clone());
            }
            alive
        });
        Passed { beat, gone }
    }

    /// Returns the ids of the servers.
    #[must_use]
    pub fn uids(&self) -> HashSet<Box<str>> {
        self.seen.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn peers() -> Peers {
        Peers::new(Heartbeats {
            interval: SECOND * 5,
            timeout: SECOND * 10,
        })
    }

    #[test]
    fn a_server_is_known_from_its_first_message_until_it_leaves_or_is_silent() {
        let mut peers = peers();
        for uid in ["a", "b", EMITTER] {
            peers.note(uid, SECOND);
        }
        assert_eq!(peers.uids(), ["a".into(), "b".into()].into());
        assert!(peers.remove("b"));
        assert!(!peers.remove("b"));
        assert_eq!(peers.tick(SECOND * 11).gone, []);
        peers.note("c", SECOND * 11);
        assert_eq!(peers.tick(SECOND * 12).gone, ["a".into()]);
        assert_eq!(peers.uids(), ["c".into()].into());
    }

    #[test]
    fn heartbeats_are_due_at_each_interval() {
        let mut peers = peers();
        let due: Vec<u32> = (0..17)
            .filter(|second| peers.tick(SECOND * *second).beat)
            .collect();
        assert_eq!(due, [5, 10, 15]);
    }

    #[test]
    fn the_number_of_servers_is_limited() {
        let mut peers = peers();
        (0..MAX_PEERS + 5).for_each(|number| peers.note(&number.to_string(), SECOND));
        assert_eq!(peers.uids().len(), MAX_PEERS);
    }

    #[test]
    fn the_length_of_ids_is_limited() {
        let mut peers = peers();
        peers.note(&"x".repeat(MAX_UID + 1), SECOND);
        assert!(peers.uids().is_empty());
    }
}
