//! The outbox of a client: a bounded queue of frames with a waker.

mod direct;
mod futures;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::Waker;

pub(crate) use direct::{Direct, RuntimeId};
pub(crate) use futures::Sending;

use super::results::{Pressure, Pushed, Queued, Readiness, Written};
use super::waiting::{WaitingFrames, Wakers};
use super::{Frame, Reliability};
use crate::sync::Lock;
use proto::buf::shrink_if_empty;

/// The queue between all senders and the one task that writes.
///
/// `repr(C)` keeps the fields in this order, so that those which a broadcast accesses in each of many outboxes are
/// adjacent in memory.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Outbox {
    state: Lock<State>,
    max_packets: usize,
    max_bytes: usize,
    /// True if more than half of either limit is used. It is outside of the lock because it is read for each incoming
    /// event.
    half_full: AtomicBool,
    /// True if the writer has been notified. It is outside of the lock because it is read each time that the writer is
    /// awake.
    notified: AtomicBool,
}

#[derive(Debug, Default)]
#[repr(C)]
struct State {
    /// The wakers of tasks that wait until most of the queue has been written.
    flush_wakers: Wakers,
    /// The number of bytes of the first frame that [`write_direct`](Outbox::write_direct) has written.
    written_of_first: usize,
    /// The transport for direct writes while the writer is asleep.
    direct: Option<Arc<dyn Direct>>,
    /// The [runtime](Direct::runtime) of `direct`.
    runtime: RuntimeId,
    /// The waker of the writer while it is asleep.
    waker: Option<Waker>,
    /// The first frame, which is stored separately so that a single message does not allocate.
    first: Option<Frame>,
    rest: VecDeque<Frame>,
    /// The frames that wait for room; allocated when the first has to wait.
    waiting_frames: Option<Box<WaitingFrames>>,
    /// The part of the queue that is exempt from the limits: events that the client missed before it resumed.
    exempt: Queued,
    /// The number of packets that are queued, or taken but not yet written.
    packets: usize,
    bytes: usize,
    transport: Readiness,
    /// True if a frame could not be queued since the queue was last below its limits.
    full: bool,
    /// True if a frame was refused, and therefore lost, since the writer last checked.
    refused: bool,
    /// True if the client has accepted some data in flight since the writer last checked; see
    /// [`record_late_write`](Outbox::record_late_write).
    moved: bool,
    /// True if a frame has been queued that the writer has not taken.
    has_new: bool,
    /// True if a task is going to write the queue directly, so that the writer need not be woken.
    write_scheduled: bool,
    closed: bool,
}

impl State {
    /// Counts packets as written that were exempt from the limits, if there are any.
    const fn release_exempt(&mut self, packets: usize, bytes: usize) {
        let left = self.exempt.packets.saturating_sub(packets);
        let bytes = self.exempt.bytes.saturating_sub(bytes);
        self.exempt.packets = left;
        self.exempt.bytes = if left == 0 { 0 } else { bytes };
    }

    /// Returns the part of the queue that counts against the limits.
    const fn counted(&self) -> Queued {
        Queued {
            packets: self.packets.saturating_sub(self.exempt.packets),
            bytes: self.bytes.saturating_sub(self.exempt.bytes),
        }
    }

    /// Returns true if frames wait for room.
    fn has_waiting_frames(&self) -> bool {
        self.waiting_frames
            .as_ref()
            .is_some_and(|waiting| !waiting.is_empty())
    }

    fn front(&self) -> Option<&Frame> {
        self.first.as_ref().or_else(|| self.rest.front())
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.first.take().or_else(|| self.rest.pop_front());
        shrink_if_empty(&mut self.rest);
        frame
    }
}

impl Outbox {
    pub(crate) fn new(max_packets: usize, max_bytes: usize) -> Self {
        Self {
            max_packets,
            max_bytes,
            half_full: AtomicBool::new(false),
            notified: AtomicBool::new(false),
            state: Lock::new(State::default()),
        }
    }

    /// Queues a frame and wakes the writer.
    pub(crate) fn push(&self, frame: Frame, reliability: Reliability) -> Pushed {
        match self.accept(frame, reliability) {
            Ok(state) => {
                Self::wake_writer(state);
                Pushed::Queued
            }
            Err(refused) => refused,
        }
    }

    /// Queues a frame, or returns the reason for which it was refused. The caller must wake the writer.
    #[inline]
    fn accept(
        &self,
        frame: Frame,
        reliability: Reliability,
    ) -> Result<MutexGuard<'_, State>, Pushed> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Pushed::Closed);
        }
        if reliability.is_volatile() && (state.transport == Readiness::Stalled || state.packets > 0)
        {
            return Err(Pushed::Dropped);
        }
        // A new frame must not overtake those that wait for room.
        if state.has_waiting_frames() || !self.has_room(&state, &frame) {
            if reliability.is_volatile() {
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

    /// Records that a frame found no room, and wakes the writer, which measures how long the client does not read.
    fn refuse(&self, mut state: MutexGuard<'_, State>) {
        state.full = true;
        self.notified.store(true, Ordering::Release);
        Self::wake_writer(state);
    }

    /// Returns the size of the queue, including data that is taken but not yet written.
    pub(crate) fn queued(&self) -> Queued {
        let state = self.state.lock();
        Queued {
            packets: state.packets,
            bytes: state.bytes,
        }
    }

    /// Queues a packet that the protocol requires, regardless of the limits: an acknowledgement or the reply to
    /// CONNECT. There is at most one for each packet of the client, and no packet is accepted while the outbox is
    /// [half_full](Self::is_half_full).
    pub(crate) fn push_required(&self, frame: Frame) {
        let state = self.state.lock();
        if !state.closed {
            self.queue(state, frame);
        }
    }

    /// Queues an event that the client missed. Such events have their own limits.
    pub(crate) fn push_missed(&self, frame: Frame) {
        let mut state = self.state.lock();
        if !state.closed && !frame.is_empty() {
            state.exempt.packets += 1;
            state.exempt.bytes += frame.size();
            self.queue(state, frame);
        }
    }

    fn queue(&self, mut state: MutexGuard<'_, State>, frame: Frame) {
        self.enqueue(&mut state, frame);
        Self::wake_writer(state);
    }

    fn enqueue(&self, state: &mut State, frame: Frame) {
        if frame.is_empty() {
            return;
        }
        state.packets += 1;
        state.bytes += frame.size();
        self.measure(state);
        if state.first.is_none() && state.rest.is_empty() {
            state.first = Some(frame);
        } else {
            state.rest.push_back(frame);
        }
        state.has_new = true;
    }

    /// Wakes the writer without queueing anything.
    pub(crate) fn notify_writer(&self) {
        self.notified.store(true, Ordering::Release);
        Self::wake_writer(self.state.lock());
    }

    /// Returns true if the writer has been notified since the last call.
    pub(crate) fn take_notification(&self) -> bool {
        self.notified.load(Ordering::Relaxed) && self.notified.swap(false, Ordering::AcqRel)
    }

    fn wake_writer(mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns true if more than half of either limit is used, so that no work should be started that queues more.
    pub(crate) fn is_half_full(&self) -> bool {
        self.half_full.load(Ordering::Relaxed)
    }

    fn measure(&self, state: &State) {
        let counted = state.counted();
        let half_full =
            counted.packets > self.max_packets / 2 || counted.bytes > self.max_bytes / 2;
        self.half_full.store(half_full, Ordering::Relaxed);
    }

    /// Moves all queued frames to the end of `into`. They count against the limits until
    /// [`record_written`](Self::record_written).
    ///
    /// Returns the number of bytes of the first frame that [`write_direct`](Self::write_direct) has written. If it is
    /// not 0, `into` was empty.
    #[inline]
    pub(crate) fn take(&self, into: &mut VecDeque<Frame>) -> usize {
        let mut state = self.state.lock();
        state.has_new = false;
        into.extend(state.first.take());
        if state.rest.len() > into.len() {
            // Move the frames of the shorter queue.
            std::mem::swap(&mut state.rest, into);
            while let Some(frame) = state.rest.pop_back() {
                into.push_front(frame);
            }
        } else {
            into.append(&mut state.rest);
        }
        shrink_if_empty(&mut state.rest);
        std::mem::take(&mut state.written_of_first)
    }

    /// Takes the first frame, if there is one and it `fits`.
    pub(crate) fn take_if(&self, fits: impl FnOnce(&Frame) -> bool) -> Option<Frame> {
        let mut state = self.state.lock();
        state.has_new = false;
        if !fits(state.front()?) {
            return None;
        }
        state.pop()
    }

    /// Returns true if no frame is queued.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.first.is_none() && state.rest.is_empty()
    }

    /// Reports the data that the transport has accepted, and its readiness for more. Returns the pressure on the
    /// outbox.
    pub(crate) fn record_written(&self, written: Written, transport: Readiness) -> Pressure {
        let mut state = self.state.lock();
        state.transport = transport;
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
        let woken = self.admit_waiting(&mut state);
        pressure.waiting = state.packets > 0;
        drop(state);
        woken.into_iter().flatten().for_each(Waker::wake);
        pressure
    }

    pub(crate) fn set_readiness(&self, transport: Readiness) {
        self.state.lock().transport = transport;
    }

    /// Records that the client has accepted some of the data in flight.
    pub(crate) fn record_progress(&self) {
        self.state.lock().moved = true;
    }

    /// Reports data that was taken earlier and has been written only now, by a task other than the writer.
    pub(crate) fn record_late_write(&self, written: Written) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        state.moved = true;
        self.release(&mut state, written);
        let woken = self.admit_waiting(&mut state);
        // The writer may have waited for this as well: it reads no input while the outbox is half_full.
        self.notified.store(true, Ordering::Release);
        Self::wake_writer(state);
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// Removes written data from the counts.
    fn release(&self, state: &mut State, written: Written) {
        let Written { packets, bytes } = written;
        state.packets = state.packets.saturating_sub(packets);
        state.bytes = state.bytes.saturating_sub(bytes);
        state.release_exempt(packets, bytes);
        self.measure(state);
        if state.full {
            let counted = state.counted();
            state.full = counted.packets >= self.max_packets || counted.bytes >= self.max_bytes;
        }
    }

    /// Marks the writer as awake: until it [registers](Self::register_writer) again, its own frames do not wake it.
    pub(crate) fn mark_writer_awake(&self) {
        let waker = self.state.lock().waker.take();
        drop(waker);
    }

    /// Registers the writer's waker, unless there is something that the writer has not seen since the last call: a
    /// frame that it has not [taken](Self::take), or a notify_writer that it has not [taken](Self::take_notification).
    ///
    /// Returns true if the writer must check again instead of sleeping.
    pub(crate) fn register_writer(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        // A later notify_writer takes the lock after this call, and so finds the waker.
        if std::mem::take(&mut state.has_new) || self.notified.load(Ordering::Acquire) {
            return true;
        }
        match &mut state.waker {
            Some(old) if old.will_wake(waker) => {}
            slot => *slot = Some(waker.clone()),
        }
        false
    }

    /// Closes the outbox: drops the queue and refuses all further frames. Returns true if the first frame was partly
    /// written.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let closed = State {
            closed: true,
            ..State::default()
        };
        let mut before = std::mem::replace(&mut *state, closed);
        self.measure(&state);
        drop(state);
        let senders = before
            .waiting_frames
            .as_mut()
            .map(|waiting| waiting.close());
        let woken = before
            .flush_wakers
            .take()
            .chain(senders.into_iter().flatten());
        woken.for_each(Waker::wake);
        before.written_of_first > 0
    }
}

#[cfg(test)]
mod tests;
