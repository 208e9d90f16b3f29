//! The way past a connection's own task: where its transport takes bytes from anybody, one task writes for many.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use super::{Outbox, Pushed, State, Written, give_back};
use crate::engine::{COALESCE, Frame, coalesce};

thread_local! {
    static GONE: Cell<VecDeque<Frame>> = const { Cell::new(VecDeque::new()) };
}

/// One frame that is longer than this is left to the connection's task: the lock is held while it is written.
const LONGEST: usize = 64 * 1024;

/// A transport that takes bytes from whoever has some, and does not wait.
pub(crate) trait Direct: fmt::Debug + Send + Sync {
    /// Writes what is taken at once, which may be less than all. An error where that is nothing.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Where its connection is served: the same number for all that are served by one runtime.
    fn place(&self) -> u64;

    /// Runs something there soon, behind what is ready to run; here and now if there is nothing left of that place.
    fn run(&self, work: Box<dyn FnOnce() + Send>);
}

impl State {
    /// Whether the writer sleeps and has nothing begun: then anybody may write.
    fn may_be_direct(&self) -> bool {
        self.direct.is_some() && self.waker.is_some() && !self.stalled
    }

    /// Writes as much of what is queued as is taken. An error is left to the writer to find, and so is what it has better means
    /// for: attachments, and much at once.
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
            let fits = frames().try_fold(0, add).is_some_and(|sum| sum <= COALESCE);
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
    pub(crate) fn set_direct(&self, direct: Arc<dyn Direct>) {
        let mut state = self.state.lock();
        if !state.closed {
            state.place = direct.place();
            state.direct = Some(direct);
        }
    }

    /// Where it may be written to so, if it is not closed.
    pub(crate) fn direct(&self) -> Option<Arc<dyn Direct>> {
        self.state.lock().direct.clone()
    }

    /// Queues a frame. Gives the [place](Direct::place) if the caller has to see to it that it is [written](Self::write_direct)
    /// there: then the writer sleeps, and has not been woken.
    pub(crate) fn push_direct(&self, frame: Frame, volatile: bool) -> (Pushed, Option<u64>) {
        let plain = frame.only_chunk().is_some();
        let mut state = match self.accept(frame, volatile) {
            Ok(state) => state,
            Err(refused) => return (refused, None),
        };
        if !plain || !state.may_be_direct() {
            Self::wake(state);
            return (Pushed::Queued, None);
        }
        let known = std::mem::replace(&mut state.promised, true);
        (Pushed::Queued, (!known).then_some(state.place))
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
            GONE.try_with(Cell::take).unwrap_or_default()
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
            // On a thread that is ending it is just dropped.
            let _ = GONE.try_with(|gone| gone.set(rest));
        }
        written
    }
}
