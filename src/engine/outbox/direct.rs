//! The way past a connection's own task: where its transport takes bytes from anybody, one task writes for many.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use super::{Outbox, Pushed, State, Written, give_back};
use crate::engine::Frame;

/// Several frames that are no longer than this together are copied into one write; more is left to the connection's task.
const COALESCE: usize = 16 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static GONE: Cell<VecDeque<Frame>> = const { Cell::new(VecDeque::new()) };
}

/// A transport that takes bytes from whoever has some, and does not wait.
pub(crate) trait TryWrite: fmt::Debug + Send + Sync {
    /// Writes what is taken at once, which may be less than all. An error where that is nothing.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl State {
    /// Whether the writer sleeps and has nothing begun: then anybody may write.
    fn may_be_direct(&self) -> bool {
        self.direct.is_some() && self.waker.is_some() && !self.stalled
    }

    /// Writes as much of what is queued as is taken. An error is left to the writer to find.
    fn try_write(&mut self) -> Written {
        let (Some(direct), Some(front)) = (&self.direct, self.front()) else {
            return Written::default();
        };
        if self.packets > 1 {
            return self.try_write_many();
        }
        let Some(chunk) = front.only_chunk() else {
            return Written::default();
        };
        let sent = direct.try_write(chunk).unwrap_or_default();
        if sent < chunk.len() {
            self.begun = sent;
            return Written::default();
        }
        Written {
            packets: 1,
            bytes: front.size(),
        }
    }

    fn try_write_many(&mut self) -> Written {
        let mut buffer = BUFFER.take();
        buffer.clear();
        let frames = || self.first.iter().chain(&self.rest);
        let fits = frames().all(|frame| {
            let chunk = frame.only_chunk().filter(|chunk| {
                // Else the connection's own task has better means.
                buffer.len() + chunk.len() <= COALESCE
            });
            chunk.is_some_and(|chunk| {
                buffer.extend_from_slice(chunk);
                true
            })
        });
        let direct = self.direct.as_ref().filter(|_| fits);
        let sent = direct.and_then(|direct| direct.try_write(&buffer).ok());
        BUFFER.set(buffer);
        let (mut left, mut written) = (sent.unwrap_or_default(), Written::default());
        for frame in frames() {
            let len = frame.only_chunk().map_or(usize::MAX, <[u8]>::len);
            if left < len {
                break;
            }
            left -= len;
            written.packets += 1;
            written.bytes += frame.size();
        }
        self.begun = left;
        written
    }

    /// Takes out what has been written, to be dropped later. `rest` is empty.
    fn take_out(&mut self, packets: usize, rest: &mut VecDeque<Frame>) -> Option<Frame> {
        if packets == 0 {
            return None;
        }
        let queued = usize::from(self.first.is_some()) + self.rest.len();
        let first = self.first.take();
        if packets == queued {
            std::mem::swap(&mut self.rest, rest);
        } else {
            let others = packets - usize::from(first.is_some());
            rest.extend(self.rest.drain(..others));
        }
        first
    }
}

impl Outbox {
    /// From now on, what is queued may be written [past](Self::write_direct) the writer while that sleeps.
    pub(crate) fn set_direct(&self, direct: Arc<dyn TryWrite>) {
        let mut state = self.state.lock();
        if !state.closed {
            state.direct = Some(direct);
        }
    }

    /// Queues a frame. Says whether the caller has to see to it that it is [written](Self::write_direct): then the writer
    /// sleeps, and has not been woken.
    pub(crate) fn push_direct(&self, frame: Frame, volatile: bool) -> (Pushed, bool) {
        let mut state = match self.accept(frame, volatile) {
            Ok(state) => state,
            Err(refused) => return (refused, false),
        };
        if state.promised {
            return (Pushed::Queued, false);
        }
        state.promised = state.may_be_direct();
        let promised = state.promised;
        if !promised {
            Self::wake(state);
        }
        (Pushed::Queued, promised)
    }

    /// Writes what is queued, in place of the writer. Wakes it where that cannot be, or not all has been taken.
    ///
    /// The lock is held meanwhile, which is what keeps the writer from writing too: it cannot wake up without it.
    pub(crate) fn write_direct(&self) -> Written {
        let mut state = self.state.lock();
        state.promised = false;
        if !state.fed {
            return Written::default();
        }
        if !state.may_be_direct() {
            Self::wake(state);
            return Written::default();
        }
        let written = state.try_write();
        // Frames hold bytes of users, which are dropped with no lock held.
        let mut rest = if state.rest.is_empty() {
            VecDeque::new()
        } else {
            GONE.take()
        };
        let first = state.take_out(written.packets, &mut rest);
        state.stalled = state.begun > 0;
        self.release(&mut state, written);
        let woken = self.let_in(&mut state);
        state.fed = state.front().is_some();
        if state.fed {
            Self::wake(state);
        } else {
            drop(state);
        }
        woken.into_iter().flatten().for_each(Waker::wake);
        drop(first);
        if rest.capacity() > 0 {
            rest.clear();
            give_back(&mut rest);
            GONE.set(rest);
        }
        written
    }
}
