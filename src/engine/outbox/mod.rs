//! What waits to be written to one client: a bounded queue of frames with a waker.

mod direct;
mod outcome;
mod waiters;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::Waker;

pub(crate) use direct::Direct;
pub use outcome::{EmitError, Queued};
pub(crate) use outcome::{Pressure, Pushed, Written};

use super::Frame;
use super::flushed::Waiting;
use super::sending::Line;
use crate::sync::Lock;

/// The queue between everybody who emits and the one task that writes.
///
/// In the order in which it stands in memory: what a broadcast looks at in each of many outboxes is together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Outbox {
    state: Lock<State>,
    max_packets: usize,
    max_bytes: usize,
    /// More than half of either limit waits. Beside the lock, since it is asked for each event that comes in.
    crowded: AtomicBool,
    /// The writer is wanted for something else. Beside the lock, since it is asked for each time that the writer is awake.
    nudged: AtomicBool,
}

#[derive(Debug, Default)]
#[repr(C)]
struct State {
    /// Who waits until most has been written.
    waiting: Waiting,
    /// How many bytes of the first frame have been written past the writer.
    begun: usize,
    /// Where that can be done while the writer sleeps.
    direct: Option<Arc<dyn Direct>>,
    /// Of these, the place.
    place: u64,
    /// The writer's, while it sleeps.
    waker: Option<Waker>,
    /// The first frame stands apart so that a lone message allocates nothing.
    first: Option<Frame>,
    rest: VecDeque<Frame>,
    /// What waits for room; made for the first that has to.
    line: Option<Box<Line>>,
    /// Of what is queued, what counts against no limit: what a client had missed when it came back.
    excused: Queued,
    /// Queued or taken but not yet written.
    packets: usize,
    bytes: usize,
    /// The transport could not take all that it was given, or (polling) nobody is waiting.
    stalled: bool,
    /// Something could not be queued since the queue was last below its limits.
    full: bool,
    /// A frame was refused, and so lost, since the writer last asked.
    refused: bool,
    /// The client has taken something of what is [in flight](Outbox::landed) since the writer last asked.
    moved: bool,
    /// A frame has been queued that the writer has not taken.
    fed: bool,
    /// Somebody has said to see to it that what is queued is written: the writer need not be woken.
    promised: bool,
    closed: bool,
}

impl State {
    /// What counts against the limits.
    const fn counted(&self) -> Queued {
        Queued {
            packets: self.packets.saturating_sub(self.excused.packets),
            bytes: self.bytes.saturating_sub(self.excused.bytes),
        }
    }

    /// Whether anything waits for room.
    fn has_line(&self) -> bool {
        self.line.as_ref().is_some_and(|line| !line.is_empty())
    }

    fn front(&self) -> Option<&Frame> {
        self.first.as_ref().or_else(|| self.rest.front())
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.first.take().or_else(|| self.rest.pop_front());
        give_back(&mut self.rest);
        frame
    }
}

/// A queue longer than this is not kept when it is empty.
const KEPT: usize = 32;

impl Outbox {
    pub(crate) fn new(max_packets: usize, max_bytes: usize) -> Self {
        Self {
            max_packets,
            max_bytes,
            crowded: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
            state: Lock::new(State::default()),
        }
    }

    /// Queues a frame and wakes the writer.
    pub(crate) fn push(&self, frame: Frame, volatile: bool) -> Pushed {
        match self.accept(frame, volatile) {
            Ok(state) => {
                Self::wake(state);
                Pushed::Queued
            }
            Err(refused) => refused,
        }
    }

    /// Queues a frame, or says why not. The writer is still to be woken.
    #[inline]
    fn accept(&self, frame: Frame, volatile: bool) -> Result<MutexGuard<'_, State>, Pushed> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Pushed::Closed);
        }
        if volatile && (state.stalled || state.packets > 0) {
            return Err(Pushed::Dropped);
        }
        // Nobody overtakes those who wait.
        if state.has_line() || !self.has_room(&state, &frame) {
            if volatile {
                return Err(Pushed::Dropped);
            }
            let bytes = state.bytes;
            state.refused = true;
            self.refuse(state);
            return Err(Pushed::Full(bytes));
        }
        self.enqueue(&mut state, frame);
        Ok(state)
    }

    fn has_room(&self, state: &State, frame: &Frame) -> bool {
        let counted = state.counted();
        counted.packets < self.max_packets
            && (counted.packets == 0 || counted.bytes + frame.size() <= self.max_bytes)
    }

    /// From now on the writer counts the time that its client does not read.
    fn refuse(&self, mut state: MutexGuard<'_, State>) {
        state.full = true;
        self.nudged.store(true, Ordering::Release);
        Self::wake(state);
    }

    /// What waits to be written.
    pub(crate) fn queued(&self) -> Queued {
        let state = self.state.lock();
        Queued {
            packets: state.packets,
            bytes: state.bytes,
        }
    }

    /// Queues a packet that the protocol owes, whatever the limits: an acknowledgement, the answer to a CONNECT. There is at
    /// most one for each packet of the client, and of those none is taken while the outbox is [crowded](Self::is_crowded).
    pub(crate) fn push_owed(&self, frame: Frame) {
        let state = self.state.lock();
        if !state.closed {
            self.queue(state, frame);
        }
    }

    /// Queues what a client has missed, which has limits of its own.
    pub(crate) fn push_missed(&self, frame: Frame) {
        let mut state = self.state.lock();
        if !state.closed {
            state.excused.packets += 1;
            state.excused.bytes += frame.size();
            self.queue(state, frame);
        }
    }

    fn queue(&self, mut state: MutexGuard<'_, State>, frame: Frame) {
        self.enqueue(&mut state, frame);
        Self::wake(state);
    }

    fn enqueue(&self, state: &mut State, frame: Frame) {
        state.packets += 1;
        state.bytes += frame.size();
        self.measure(state);
        if state.first.is_none() && state.rest.is_empty() {
            state.first = Some(frame);
        } else {
            state.rest.push_back(frame);
        }
        state.fed = true;
    }

    /// Wakes the writer without queueing anything.
    pub(crate) fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        Self::wake(self.state.lock());
    }

    /// Whether the writer has been nudged since it last asked.
    pub(crate) fn take_nudge(&self) -> bool {
        self.nudged.load(Ordering::Relaxed) && self.nudged.swap(false, Ordering::AcqRel)
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether so much waits that nothing should be done which makes it more.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    fn measure(&self, state: &State) {
        let counted = state.counted();
        let crowded = counted.packets > self.max_packets / 2 || counted.bytes > self.max_bytes / 2;
        self.crowded.store(crowded, Ordering::Relaxed);
    }

    /// Moves all that is queued behind what `into` has. It counts against the limits until [`settle`](Self::settle).
    ///
    /// Gives how many bytes of the first have been written [past](Self::write_direct) the writer; then `into` was empty.
    #[inline]
    pub(crate) fn take(&self, into: &mut VecDeque<Frame>) -> usize {
        let mut state = self.state.lock();
        state.fed = false;
        into.extend(state.first.take());
        if state.rest.len() > into.len() {
            // The shorter one moves.
            std::mem::swap(&mut state.rest, into);
            while let Some(frame) = state.rest.pop_back() {
                into.push_front(frame);
            }
        } else {
            into.append(&mut state.rest);
        }
        give_back(&mut state.rest);
        std::mem::take(&mut state.begun)
    }

    /// Takes the first frame, if there is one and it `fits`.
    pub(crate) fn take_if(&self, fits: impl FnOnce(&Frame) -> bool) -> Option<Frame> {
        let mut state = self.state.lock();
        state.fed = false;
        if !fits(state.front()?) {
            return None;
        }
        state.pop()
    }

    /// Whether nothing is queued.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.first.is_none() && state.rest.is_empty()
    }

    /// Reports what the transport has taken over, and whether it can take more at once. Returns whether the client keeps up.
    pub(crate) fn settle(&self, written: Written, stalled: bool) -> Pressure {
        let mut state = self.state.lock();
        state.stalled = stalled;
        let mut pressure = Pressure {
            full: state.full,
            refused: std::mem::take(&mut state.refused),
            waiting: state.packets > 0,
            moved: std::mem::take(&mut state.moved) || written.packets > 0,
        };
        if written.packets == 0 {
            return pressure;
        }
        self.release(&mut state, written);
        pressure.full = state.full;
        let woken = self.let_in(&mut state);
        pressure.waiting = state.packets > 0;
        drop(state);
        woken.into_iter().flatten().for_each(Waker::wake);
        pressure
    }

    /// Says whether the transport can take more at once.
    pub(crate) fn stall(&self, stalled: bool) {
        self.state.lock().stalled = stalled;
    }

    /// The client has taken some of what is in flight.
    pub(crate) fn progress(&self) {
        self.state.lock().moved = true;
    }

    /// Reports what was taken long before and has been written only now, by somebody else than the writer.
    pub(crate) fn landed(&self, written: Written) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        state.moved = true;
        self.release(&mut state, written);
        let woken = self.let_in(&mut state);
        // The writer may have waited for that, too: it takes in nothing while much is queued.
        self.nudged.store(true, Ordering::Release);
        Self::wake(state);
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// What has been written waits no longer.
    fn release(&self, state: &mut State, written: Written) {
        let Written { packets, bytes } = written;
        state.packets = state.packets.saturating_sub(packets);
        state.bytes = state.bytes.saturating_sub(bytes);
        if state.excused.packets > 0 {
            state.excused.packets = state.excused.packets.saturating_sub(packets);
            state.excused.bytes = state.excused.bytes.saturating_sub(bytes);
            if state.excused.packets == 0 {
                state.excused.bytes = 0;
            }
        }
        self.measure(state);
        if state.full {
            let counted = state.counted();
            state.full = counted.packets >= self.max_packets || counted.bytes >= self.max_bytes;
        }
    }

    /// The writer is awake: until it [registers](Self::register) again, what it queues itself need not wake it.
    pub(crate) fn awake(&self) {
        let waker = self.state.lock().waker.take();
        drop(waker);
    }

    /// Leaves the writer's waker, unless something has happened since the last call that the writer has not seen: a frame it
    /// has not [taken](Self::take), a nudge it has not [taken](Self::take_nudge).
    ///
    /// Returns true when the writer must look again instead of sleeping.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        // Who nudges from now on takes the lock behind us, and finds the waker.
        if std::mem::take(&mut state.fed) || self.nudged.load(Ordering::Acquire) {
            return true;
        }
        match &mut state.waker {
            Some(old) if old.will_wake(waker) => {}
            slot => *slot = Some(waker.clone()),
        }
        false
    }

    /// Refuses everything from now on and forgets what was queued. Returns whether the first of it was begun.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let closed = State {
            closed: true,
            ..State::default()
        };
        let mut before = std::mem::replace(&mut *state, closed);
        self.measure(&state);
        drop(state);
        let line = before.line.as_mut().map(|line| line.close());
        let woken = before.waiting.take().chain(line.into_iter().flatten());
        woken.for_each(Waker::wake);
        before.begun > 0
    }
}

/// After a burst, an idle connection needs no room for the next one.
pub(crate) fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > KEPT {
        *queue = VecDeque::new();
    }
}

#[cfg(test)]
mod tests;
