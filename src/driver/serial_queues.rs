//! The queues of events whose handlers run one at a time: those of a socket, or of a handler, that was set to that
//! order.

use std::collections::VecDeque;

use crate::socket::{AckBody, BoxHandler, Socket};
use proto::buf::shrink_if_empty;
use proto::socket_io::Event;

/// Identifies a queue: that of all events of a socket, or of those of a socket for one handler.
#[derive(Clone, Debug)]
pub(super) struct QueueKey {
    pub(super) socket: Socket,
    pub(super) handler: Option<BoxHandler<AckBody>>,
}

impl PartialEq for QueueKey {
    fn eq(&self, other: &Self) -> bool {
        self.socket == other.socket
            && match (&self.handler, &other.handler) {
                (Some(one), Some(other)) => one.is(other),
                (None, None) => true,
                _ => false,
            }
    }
}

/// An event whose handler runs only when that of the event before it in its queue has ended.
#[derive(Debug)]
pub(super) struct SerialEvent {
    pub(super) ack: Option<u64>,
    pub(super) event: Event,
    pub(super) handler: BoxHandler<AckBody>,
    pub(super) queue: QueueKey,
}

/// The queues of one connection.
#[derive(Debug, Default)]
pub(super) struct SerialQueues {
    /// The queues of which a handler runs.
    busy: Vec<SerialQueue>,
    /// The queues whose handler has just ended.
    ended: Vec<QueueKey>,
    /// The number of events that wait, in all queues.
    len: usize,
    bytes: usize,
}

/// A queue of which a handler runs. Finding its next event does not depend on how many events wait in other queues.
#[derive(Debug)]
struct SerialQueue {
    key: QueueKey,
    waiting: VecDeque<SerialEvent>,
}

impl SerialQueues {
    /// Returns the event if its handler may start now, and queues it otherwise.
    pub(super) fn start_or_queue(&mut self, event: SerialEvent) -> Option<SerialEvent> {
        let Some(queue) = self.busy.iter_mut().find(|queue| queue.key == event.queue) else {
            self.busy.push(SerialQueue {
                key: event.queue.clone(),
                waiting: VecDeque::new(),
            });
            return Some(event);
        };
        self.len += 1;
        self.bytes += event.event.args().footprint();
        event.queue.socket.add_pending();
        queue.waiting.push_back(event);
        None
    }

    /// Records that the handler of a queue has ended.
    pub(super) fn handler_ended(&mut self, queue: QueueKey) {
        self.ended.push(queue);
    }

    /// Returns the next event of a queue whose handler has ended.
    pub(super) fn next(&mut self) -> Option<SerialEvent> {
        while let Some(key) = self.ended.pop() {
            let Some(at) = self.busy.iter().position(|queue| queue.key == key) else {
                continue;
            };
            let queue = self.busy.get_mut(at).map(|queue| &mut queue.waiting);
            let next = queue.and_then(|queue| {
                let next = queue.pop_front();
                shrink_if_empty(queue);
                next
            });
            if let Some(event) = next {
                self.len -= 1;
                self.bytes -= event.event.args().footprint();
                event.queue.socket.remove_pending();
                return Some(event);
            }
            self.busy.swap_remove(at);
        }
        None
    }

    /// Drops the waiting events of a socket.
    pub(super) fn drop_events_of(&mut self, socket: &Socket) {
        self.drop_events(|queue| queue.socket == *socket);
    }

    /// Drops all waiting events. Returns the number of them.
    pub(super) fn drop_all_events(&mut self) -> usize {
        self.drop_events(|_| true)
    }

    /// Drops the waiting events of some queues. The handlers that run go on. Returns the number of events.
    fn drop_events(&mut self, of: impl Fn(&QueueKey) -> bool) -> usize {
        let before = self.len;
        for queue in self.busy.iter_mut().filter(|queue| of(&queue.key)) {
            for event in std::mem::take(&mut queue.waiting) {
                self.len -= 1;
                self.bytes -= event.event.args().footprint();
                event.queue.socket.remove_pending();
            }
        }
        before - self.len
    }

    /// Returns true if the handler of a queue has ended and [`next`](Self::next) has not been called since.
    pub(super) fn any_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Returns true if events of this socket wait.
    pub(super) fn has_events_of(&self, socket: &Socket) -> bool {
        let mut busy = self.busy.iter();
        busy.any(|queue| queue.key.socket == *socket && !queue.waiting.is_empty())
    }

    /// Returns the number of events that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the size of the waiting events, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
