//! Where only one handler runs at a time.

use std::collections::VecDeque;

use crate::engine::give_back;
use crate::hub::{AckBody, BoxHandler, Socket};
use crate::protocol::socket_io::Event;

/// All events of a socket, or those of it for one handler.
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
    /// A handler runs in these.
    busy: Vec<Lane>,
    /// Their handler has just ended.
    freed: Vec<Lane>,
    waiting: VecDeque<Task>,
    bytes: usize,
}

impl Lanes {
    /// Gives the task back if it may start now; keeps it otherwise.
    pub(super) fn enter(&mut self, task: Task) -> Option<Task> {
        if !self.busy.contains(&task.lane) {
            self.busy.push(task.lane.clone());
            return Some(task);
        }
        self.bytes += task.event.args().size();
        task.lane.socket.add_pending();
        self.waiting.push_back(task);
        None
    }

    /// The handler that ran in a lane has ended.
    pub(super) fn free(&mut self, lane: Lane) {
        self.freed.push(lane);
    }

    /// The next task whose lane has become free.
    pub(super) fn next(&mut self) -> Option<Task> {
        while let Some(lane) = self.freed.pop() {
            let mut waiting = self.waiting.iter();
            let next = waiting.position(|task| task.lane == lane);
            if let Some(task) = next.and_then(|at| self.waiting.remove(at)) {
                self.bytes -= task.event.args().size();
                give_back(&mut self.waiting);
                task.lane.socket.remove_pending();
                return Some(task);
            }
            self.busy.retain(|busy| *busy != lane);
        }
        None
    }

    /// Drops the events of a socket that wait for their turn.
    pub(super) fn forget(&mut self, socket: &Socket) {
        self.waiting.retain(|task| {
            let keep = task.lane.socket != *socket;
            if !keep {
                task.lane.socket.remove_pending();
            }
            keep
        });
        let sizes = self.waiting.iter().map(|task| task.event.args().size());
        self.bytes = sizes.sum();
    }

    /// Drops all events that wait for their turn. Returns how many there were.
    pub(super) fn drain(&mut self) -> usize {
        let waiting = std::mem::take(&mut self.waiting);
        for task in &waiting {
            task.lane.socket.remove_pending();
        }
        self.bytes = 0;
        waiting.len()
    }

    /// Whether no handler runs in a lane and nothing waits for one.
    pub(super) fn is_idle(&self) -> bool {
        self.busy.is_empty()
    }

    /// Whether events of this socket wait.
    pub(super) fn keep_events_of(&self, socket: &Socket) -> bool {
        self.waiting.iter().any(|task| task.lane.socket == *socket)
    }

    /// The size of what waits, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
