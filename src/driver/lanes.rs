//! The lanes of a connection: in each of them one handler runs at a time.

use std::collections::VecDeque;

use crate::socket::{AckBody, BoxHandler, Socket};
use proto::buf::shrink_if_empty;
use proto::socket_io::Event;

/// All events of a socket, or those of a socket for one handler.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) socket: Socket,
    pub(super) handler: Option<BoxHandler<AckBody>>,
}

impl PartialEq for Lane {
    fn eq(&self, other: &Self) -> bool {
        self.socket == other.socket
            && match (&self.handler, &other.handler) {
                (Some(one), Some(other)) => one.is(other),
                (None, None) => true,
                _ => false,
            }
    }
}

/// An event whose handler runs in a lane.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) ack: Option<u64>,
    pub(super) event: Event,
    pub(super) handler: BoxHandler<AckBody>,
    pub(super) lane: Lane,
}

/// The lanes of one connection.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// The lanes in which a handler runs.
    busy: Vec<Busy>,
    /// The lanes whose handler has just ended.
    freed: Vec<Lane>,
    /// The number of events that wait, in all lanes.
    len: usize,
    bytes: usize,
}

/// A lane in which a handler runs. Each lane has a queue of its own, so that finding its next event does not depend on
/// how many events wait for other lanes.
#[derive(Debug)]
struct Busy {
    lane: Lane,
    waiting: VecDeque<Task>,
}

impl Lanes {
    /// Returns the task if it may start now, and queues it otherwise.
    pub(super) fn enter(&mut self, task: Task) -> Option<Task> {
        let Some(busy) = self.busy.iter_mut().find(|busy| busy.lane == task.lane) else {
            self.busy.push(Busy {
                lane: task.lane.clone(),
                waiting: VecDeque::new(),
            });
            return Some(task);
        };
        self.len += 1;
        self.bytes += task.event.args().footprint();
        task.lane.socket.add_pending();
        busy.waiting.push_back(task);
        None
    }

    /// Frees a lane whose handler has ended.
    pub(super) fn free(&mut self, lane: Lane) {
        self.freed.push(lane);
    }

    /// Returns the next task whose lane has become free.
    pub(super) fn next(&mut self) -> Option<Task> {
        while let Some(lane) = self.freed.pop() {
            let Some(at) = self.busy.iter().position(|busy| busy.lane == lane) else {
                continue;
            };
            let queue = self.busy.get_mut(at).map(|busy| &mut busy.waiting);
            let next = queue.and_then(|queue| {
                let next = queue.pop_front();
                shrink_if_empty(queue);
                next
            });
            if let Some(task) = next {
                self.len -= 1;
                self.bytes -= task.event.args().footprint();
                task.lane.socket.remove_pending();
                return Some(task);
            }
            self.busy.swap_remove(at);
        }
        None
    }

    /// Drops the waiting events of a socket.
    pub(super) fn forget(&mut self, socket: &Socket) {
        self.empty(|lane| lane.socket == *socket);
    }

    /// Drops the waiting events of some lanes, and leaves the lanes to the handlers that run. Returns the number of
    /// events.
    pub(super) fn empty(&mut self, of: impl Fn(&Lane) -> bool) -> usize {
        let before = self.len;
        for busy in self.busy.iter_mut().filter(|busy| of(&busy.lane)) {
            for task in std::mem::take(&mut busy.waiting) {
                self.len -= 1;
                self.bytes -= task.event.args().footprint();
                task.lane.socket.remove_pending();
            }
        }
        before - self.len
    }

    /// Returns true if the handler of a lane has ended and [`next`](Self::next) has not been called since.
    pub(super) fn any_freed(&self) -> bool {
        !self.freed.is_empty()
    }

    /// Returns true if events of this socket wait.
    pub(super) fn keep_events_of(&self, socket: &Socket) -> bool {
        let mut busy = self.busy.iter();
        busy.any(|busy| busy.lane.socket == *socket && !busy.waiting.is_empty())
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
