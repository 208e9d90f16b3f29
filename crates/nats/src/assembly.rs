//! Messages that arrive in parts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::part::MessagePart;

/// The maximum number of messages that are unfinished. A publisher has one at a time.
const MAX_UNFINISHED: usize = 1024;

/// The time in which all parts of a message have to arrive.
const MAX_AGE: Duration = Duration::from_secs(30);

/// The messages of which some parts have arrived, within a limit.
#[derive(Debug)]
pub(crate) struct Assembly {
    unfinished: HashMap<u64, Unfinished>,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Unfinished {
    content: BytesMut,
    /// The numbers of the part that is expected.
    number: u64,
    index: u32,
    count: u32,
    since: Instant,
}

/// The result of a part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    /// The message, if it is whole.
    pub(crate) message: Option<Bytes>,
    /// The number of messages that have been lost, because parts of them are missing or are more than the limit.
    pub(crate) lost: usize,
}

impl Assembly {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            unfinished: HashMap::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// Adds a part. The parts of a publisher have to be added in their order.
    pub(crate) fn add(&mut self, part: MessagePart, now: Instant) -> Assembled {
        if part.index > 0 {
            return self.go_on(&part);
        }
        // Its predecessor will not be completed.
        let lost = usize::from(self.remove(part.publisher).is_some());
        if part.is_last() {
            let message = Some(part.content);
            return Assembled { message, lost };
        }
        let lost = lost + usize::from(!self.begin(&part, now));
        Assembled {
            message: None,
            lost,
        }
    }

    /// Begins a message, unless that exceeds a limit.
    fn begin(&mut self, part: &MessagePart, now: Instant) -> bool {
        let bytes = self.bytes.saturating_add(part.content.len());
        if self.unfinished.len() >= MAX_UNFINISHED || bytes > self.max_bytes {
            return false;
        }
        self.bytes = bytes;
        let unfinished = Unfinished {
            content: BytesMut::from(&part.content[..]),
            number: part.number + 1,
            index: 1,
            count: part.count,
            since: now,
        };
        self.unfinished.insert(part.publisher, unfinished);
        true
    }

    /// Adds a part to a message that has begun. Parts of one that has been given up are ignored.
    fn go_on(&mut self, part: &MessagePart) -> Assembled {
        let bytes = self.bytes.saturating_add(part.content.len());
        let unfinished = self.unfinished.get_mut(&part.publisher);
        let fits = bytes <= self.max_bytes;
        let Some(unfinished) = unfinished.filter(|known| fits && known.expects(part)) else {
            let lost = usize::from(self.remove(part.publisher).is_some());
            return Assembled {
                message: None,
                lost,
            };
        };
        unfinished.content.extend_from_slice(&part.content);
        unfinished.number += 1;
        unfinished.index += 1;
        self.bytes = bytes;
        let message = part.is_last().then(|| self.remove(part.publisher));
        Assembled {
            message: message.flatten(),
            lost: 0,
        }
    }

    fn remove(&mut self, publisher: u64) -> Option<Bytes> {
        let unfinished = self.unfinished.remove(&publisher)?;
        self.bytes -= unfinished.content.len();
        Some(unfinished.content.freeze())
    }

    /// Drops the messages that have been unfinished for too long. Returns their number.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let is_old = |unfinished: &Unfinished| now.duration_since(unfinished.since) > MAX_AGE;
        let old = { self.unfinished.iter() }
            .filter(|(_, unfinished)| is_old(unfinished))
            .map(|(publisher, _)| *publisher);
        let old: Vec<_> = old.collect();
        old.iter()
            .filter(|publisher| self.remove(**publisher).is_some())
            .count()
    }
}

impl Unfinished {
    const fn expects(&self, part: &MessagePart) -> bool {
        self.number == part.number && self.index == part.index && self.count == part.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Divider;

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn now() -> Instant {
        Instant::now()
    }

    const MESSAGE: &[u8] = &[7; 160];

    /// Returns the three parts of a message.
    fn parts(divider: &mut Divider) -> Vec<MessagePart> {
        divider.divide(&Bytes::from_static(MESSAGE), 0)
    }

    fn add(assembly: &mut Assembly, parts: &[MessagePart]) -> (Vec<Bytes>, usize) {
        let (mut messages, mut lost) = (Vec::new(), 0);
        for part in parts {
            let assembled = assembly.add(part.clone(), now());
            messages.extend(assembled.message);
            lost += assembled.lost;
        }
        (messages, lost)
    }

    fn is_empty(assembly: &Assembly) -> bool {
        assembly.unfinished.is_empty() && assembly.bytes == 0
    }

    #[test]
    fn the_parts_of_several_publishers_are_put_together() {
        let mut assembly = Assembly::new(1000);
        let (one, two) = (parts(&mut Divider::new(1)), parts(&mut Divider::new(2)));
        let mixed: Vec<_> = one
            .into_iter()
            .zip(two)
            .flat_map(|(one, two)| [one, two])
            .collect();
        let (messages, lost) = add(&mut assembly, &mixed);
        assert_eq!(messages, [MESSAGE, MESSAGE]);
        assert_eq!(lost, 0);
        assert!(is_empty(&assembly));
    }

    #[test]
    fn a_message_without_one_of_its_parts_is_lost_once() {
        let mut divider = Divider::new(1);
        for missing in 1..3 {
            let mut assembly = Assembly::new(1000);
            let mut some = parts(&mut divider);
            some.remove(missing);
            let next = parts(&mut divider);
            let (messages, lost) = add(&mut assembly, &[some, next].concat());
            assert_eq!((messages.len(), lost), (1, 1), "part {missing} is missing");
            assert!(is_empty(&assembly));
        }
    }

    #[test]
    fn a_message_whose_begin_was_not_received_is_ignored() {
        let mut assembly = Assembly::new(1000);
        let mut rest = parts(&mut Divider::new(1));
        rest.remove(0);
        assert_eq!(add(&mut assembly, &rest), (vec![], 0));
        assert!(is_empty(&assembly));
    }

    #[test]
    fn a_message_beyond_the_limit_is_lost_once() {
        for limit in [63, 64, 159] {
            let mut assembly = Assembly::new(limit);
            let (messages, lost) = add(&mut assembly, &parts(&mut Divider::new(1)));
            assert_eq!((messages.len(), lost), (0, 1));
            assert!(is_empty(&assembly));
        }
        let mut assembly = Assembly::new(usize::MAX);
        for publisher in 0..2000 {
            let first = parts(&mut Divider::new(publisher)).remove(0);
            let lost = usize::from(publisher >= MAX_UNFINISHED as u64);
            assert_eq!(add(&mut assembly, &[first]), (vec![], lost));
        }
        assert_eq!(assembly.unfinished.len(), MAX_UNFINISHED);
    }

    #[test]
    fn a_message_that_is_not_completed_expires() {
        let mut assembly = Assembly::new(1000);
        let first = parts(&mut Divider::new(1)).remove(0);
        let begun = now();
        assembly.add(first, begun);
        assert_eq!(assembly.expire(begun + MAX_AGE), 0);
        assert_eq!(assembly.expire(begun + MAX_AGE * 2), 1);
        assert!(is_empty(&assembly));
    }
}
