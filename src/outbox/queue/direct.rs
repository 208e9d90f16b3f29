//! Direct writes: one task writes to many connections whose own tasks sleep, if their transports allow it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use super::{Outbox, State};
use crate::outbox::{Frame, MAX_COALESCED, Pushed, Readiness, Reliability, Written, coalesce};
use proto::buf::shrink_if_empty;

thread_local! {
    static SPARE: Cell<VecDeque<Frame>> = const { Cell::new(VecDeque::new()) };
}

/// The maximum size of a frame that is written directly, in bytes. Longer frames are left to the connection's task,
/// because the lock is held during the write.
const LONGEST: usize = 64 * 1024;

/// The id of the runtime that serves a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuntimeId(pub(crate) u64);

/// A transport that any task can write to without waiting.
pub(crate) trait Direct: fmt::Debug + Send + Sync {
    /// Writes the bytes that the transport accepts immediately, which may be fewer than all. Returns an error if it
    /// accepts none.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns the id of the runtime that serves the connection.
    fn runtime(&self) -> RuntimeId;

    /// Schedules a closure on that runtime, behind all tasks that are ready to run. Runs it immediately if the runtime
    /// is gone.
    fn run(&self, work: Box<dyn FnOnce() + Send>);
}

impl State {
    /// Returns true if the writer sleeps and has no frame half-written, so that any task may write.
    fn may_be_direct(&self) -> bool {
        self.direct.is_some() && self.waker.is_some() && self.transport == Readiness::Ready
    }

    /// Writes as much of the queue as the transport accepts. Errors are left to the writer, and so are attachments and
    /// large amounts of data, which it writes more efficiently.
    fn try_write(&mut self) -> Written {
        let frames = || self.first.iter().chain(&self.rest);
        let Some(direct) = &self.direct else {
            return Written::default();
        };
        let sent = if self.packets == 1 {
            let only = self.front().and_then(Frame::only_chunk);
            let short = only.filter(|chunk| chunk.len() <= LONGEST);
            short.map(|chunk| direct.try_write(chunk))
        } else {
            let add = |sum, frame: &Frame| Some(sum + frame.only_chunk()?.len());
            let fits = frames()
                .try_fold(0, add)
                .is_some_and(|sum| sum <= MAX_COALESCED);
            let chunks = frames().filter_map(Frame::only_chunk);
            fits.then(|| coalesce(chunks, |one| direct.try_write(one)))
        };
        let mut left = sent.and_then(Result::ok).unwrap_or_default();
        let mut written = Written::default();
        for frame in frames() {
            let len = frame.only_chunk().map_or(usize::MAX, <[u8]>::len);
            if left < len {
                break;
            }
            left -= len;
            written.packets += 1;
            written.bytes += frame.size();
        }
        self.written_of_first = left;
        written
    }

    /// Removes the frames that have been written, so that the caller can drop them later. `rest` must be empty.
    fn take_written(&mut self, packets: usize, rest: &mut VecDeque<Frame>) -> Option<Frame> {
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
    /// Allows [direct writes](Self::write_direct) while the writer sleeps.
    pub(crate) fn set_direct(&self, direct: Arc<dyn Direct>) {
        let mut state = self.state.lock();
        if !state.closed {
            state.runtime = direct.runtime();
            state.direct = Some(direct);
        }
    }

    /// Returns the transport for direct writes, if there is one and the outbox is not closed.
    pub(crate) fn direct(&self) -> Option<Arc<dyn Direct>> {
        self.state.lock().direct.clone()
    }

    /// Queues a frame. Returns the [runtime](Direct::runtime) if the caller must arrange for
    /// [`write_direct`](Self::write_direct) to be called there: the writer is asleep and has not been woken.
    pub(crate) fn push_direct(
        &self,
        frame: Frame,
        reliability: Reliability,
    ) -> (Pushed, Option<RuntimeId>) {
        let plain = frame.only_chunk().is_some();
        let mut state = match self.accept(frame, reliability) {
            Ok(state) => state,
            Err(refused) => return (refused, None),
        };
        if !plain || !state.may_be_direct() {
            Self::wake_writer(state);
            return (Pushed::Queued, None);
        }
        let is_scheduled = std::mem::replace(&mut state.write_scheduled, true);
        (Pushed::Queued, (!is_scheduled).then_some(state.runtime))
    }

    /// Writes the queue in place of the writer. Wakes the writer if that is not possible, or if data is left.
    ///
    /// The lock is held during the write. It also prevents a concurrent write by the writer, which cannot wake up
    /// without it.
    pub(crate) fn write_direct(&self) -> Written {
        let mut state = self.state.lock();
        state.write_scheduled = false;
        if !state.has_new {
            return Written::default();
        }
        if !state.may_be_direct() {
            Self::wake_writer(state);
            return Written::default();
        }
        let written = state.try_write();
        // Frames contain users' bytes, which must not be dropped while the lock is held.
        let mut rest = if state.rest.is_empty() {
            VecDeque::new()
        } else {
            SPARE.try_with(Cell::take).unwrap_or_default()
        };
        let first = state.take_written(written.packets, &mut rest);
        if state.written_of_first > 0 {
            state.transport = Readiness::Stalled;
        }
        self.release(&mut state, written);
        let woken = self.admit_waiting(&mut state);
        state.has_new = state.front().is_some();
        if state.has_new {
            Self::wake_writer(state);
        } else {
            drop(state);
        }
        woken.into_iter().flatten().for_each(Waker::wake);
        drop(first);
        if rest.capacity() > 0 {
            rest.clear();
            shrink_if_empty(&mut rest);
            // The queue is dropped if the thread is shutting down.
            let _ = SPARE.try_with(|gone| gone.set(rest));
        }
        written
    }
}
