//! What waits to be written to one client: a bounded queue of frames with a waker.

use std::collections::VecDeque;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use super::Frame;
use super::flushed::{Flushed, Waiting};
use super::sending::{Line, Sending, Stage};
use crate::protocol::EncodeError;
use crate::sync::Lock;

/// Why an event was not queued for a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The arguments could not be serialized; nothing was sent.
    #[error("cannot serialize the arguments")]
    Serialize(#[source] EncodeError),
    /// The event's name is one that the protocol keeps for itself.
    #[error("event name {0:?} is reserved")]
    Reserved(String),
    /// The client's outbox is at its limit; see the builder's `max_outbox_bytes` and `max_outbox_packets`. Holds how
    /// many bytes wait in it.
    #[error("outbox is full with {0} bytes")]
    Full(usize),
    /// The client has disconnected.
    #[error("socket is closed")]
    Closed,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// Volatile, and the transport was not ready.
    Dropped,
    Full(usize),
    Closed,
}

impl Pushed {
    /// What an emit says of it: whether it was queued; a volatile frame may be lost.
    pub(crate) fn into_result(self) -> Result<bool, EmitError> {
        match self {
            Self::Queued => Ok(true),
            Self::Dropped => Ok(false),
            Self::Full(bytes) => Err(EmitError::Full(bytes)),
            Self::Closed => Err(EmitError::Closed),
        }
    }
}

/// What waits to be written to a client, of all its namespaces; see [`Socket::queued`](crate::Socket::queued).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// How many packets; one with binary attachments counts once. At most the builder's `max_outbox_packets`, and what the
    /// protocol itself has to say.
    pub packets: usize,
    /// How many bytes they have, attachments included.
    pub bytes: usize,
}

/// The queue between everybody who emits and the one task that writes.
#[derive(Debug)]
pub(crate) struct Outbox {
    max_packets: usize,
    max_bytes: usize,
    /// More than half of either limit waits. Beside the lock, since it is asked for each event that comes in.
    crowded: AtomicBool,
    /// The writer is wanted for something else. Beside the lock, since it is asked for each time that the writer is awake.
    nudged: AtomicBool,
    state: Lock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The first frame stands apart so that a lone message allocates nothing.
    first: Option<Frame>,
    rest: VecDeque<Frame>,
    /// Queued or taken but not yet written.
    packets: usize,
    bytes: usize,
    /// Of them, those that count against no limit: what a client had missed when it came back.
    excused: Queued,
    /// The transport could not take all that it was given, or (polling) nobody is waiting.
    stalled: bool,
    /// A frame was refused since the queue was last below its limits.
    refused: bool,
    /// A frame has been queued that the writer has not taken.
    fed: bool,
    closed: bool,
    waker: Option<Waker>,
    /// Who waits until most has been written.
    waiting: Waiting,
    /// What waits for room.
    line: Line,
}

impl State {
    /// What counts against the limits.
    const fn counted(&self) -> Queued {
        Queued {
            packets: self.packets.saturating_sub(self.excused.packets),
            bytes: self.bytes.saturating_sub(self.excused.bytes),
        }
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
        let state = self.state.lock();
        if state.closed {
            return Pushed::Closed;
        }
        if volatile && (state.stalled || state.packets > 0) {
            return Pushed::Dropped;
        }
        // Nobody overtakes those who wait.
        if !state.line.is_empty() || !self.has_room(&state, &frame) {
            if volatile {
                return Pushed::Dropped;
            }
            let bytes = state.bytes;
            self.refuse(state);
            return Pushed::Full(bytes);
        }
        self.queue(state, frame);
        Pushed::Queued
    }

    fn has_room(&self, state: &State, frame: &Frame) -> bool {
        let counted = state.counted();
        counted.packets < self.max_packets
            && (counted.packets == 0 || counted.bytes + frame.size() <= self.max_bytes)
    }

    /// From now on the writer counts the time that its client does not read.
    fn refuse(&self, mut state: MutexGuard<'_, State>) {
        state.refused = true;
        self.nudged.store(true, Ordering::Release);
        Self::wake(state);
    }

    /// Queues a frame as soon as there is room, behind those that have waited longer.
    pub(crate) fn send(&self, frame: Frame) -> Sending<'_> {
        Sending::new(self, frame)
    }

    pub(super) fn poll_send(
        &self,
        stage: &mut Stage,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), EmitError>> {
        // Frames hold bytes of users, and wakers their tasks: both are dropped with no lock held.
        let before = std::mem::replace(stage, Stage::Over);
        let mut state = self.state.lock();
        match before {
            // What was let in just before the end has been lost with it.
            _ if state.closed => Poll::Ready(Err(EmitError::Closed)),
            Stage::New(frame) if state.line.is_empty() && self.has_room(&state, &frame) => {
                self.queue(state, frame);
                Poll::Ready(Ok(()))
            }
            Stage::New(frame) => {
                *stage = Stage::Waiting(state.line.enter(frame, cx.waker().clone()));
                self.refuse(state);
                Poll::Pending
            }
            Stage::Waiting(number) => {
                let Some(waker) = state.line.waker(number) else {
                    return Poll::Ready(Ok(()));
                };
                *stage = Stage::Waiting(number);
                let old = std::mem::replace(waker, cx.waker().clone());
                drop(state);
                drop(old);
                Poll::Pending
            }
            Stage::Over => Poll::Ready(Ok(())),
        }
    }

    /// A frame is no longer to be sent. Those behind it may fit.
    pub(super) fn withdraw(&self, number: u64) {
        let mut state = self.state.lock();
        let withdrawn = state.line.leave(number);
        let admitted = self.admit(&mut state);
        Self::wake(state);
        admitted.into_iter().for_each(Waker::wake);
        drop(withdrawn);
    }

    /// Queues what has waited for room, as far as it fits now. Gives the wakers of those who have sent it.
    fn admit(&self, state: &mut State) -> Vec<Waker> {
        let mut admitted = Vec::new();
        while let Some(first) = state.line.first() {
            state.refused = !self.has_room(state, first);
            if state.refused {
                break;
            }
            if let Some((frame, waker)) = state.line.take_first() {
                self.enqueue(state, frame);
                admitted.push(waker);
            }
        }
        admitted
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
    pub(crate) fn take(&self, into: &mut VecDeque<Frame>) {
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
    }

    /// Takes the first frame, if there is one and it `fits`.
    pub(crate) fn take_if(&self, fits: impl FnOnce(&Frame) -> bool) -> Option<Frame> {
        let mut state = self.state.lock();
        state.fed = false;
        if !fits(state.first.as_ref().or(state.rest.front())?) {
            return None;
        }
        let frame = state.first.take().or_else(|| state.rest.pop_front());
        give_back(&mut state.rest);
        frame
    }

    /// Whether nothing is queued.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.first.is_none() && state.rest.is_empty()
    }

    /// Reports what the transport has taken over, and whether it can take more at once. Returns whether frames are being
    /// refused because the client does not read.
    pub(crate) fn settle(&self, packets: usize, bytes: usize, stalled: bool) -> bool {
        let mut state = self.state.lock();
        state.stalled = stalled;
        if packets == 0 {
            return state.refused;
        }
        state.packets = state.packets.saturating_sub(packets);
        state.bytes = state.bytes.saturating_sub(bytes);
        state.excused.packets = state.excused.packets.saturating_sub(packets);
        state.excused.bytes = state.excused.bytes.saturating_sub(bytes);
        self.measure(&state);
        let counted = state.counted();
        if counted.packets < self.max_packets && counted.bytes < self.max_bytes {
            state.refused = false;
        }
        let refused = state.refused;
        let admitted = self.admit(&mut state);
        let waiting = self.is_low(&state).then(|| state.waiting.take());
        drop(state);
        let woken = waiting.into_iter().flatten().chain(admitted);
        woken.for_each(Waker::wake);
        refused
    }

    /// Resolves when no more than a quarter of either limit is waiting, or nothing ever will be.
    pub(crate) fn flushed(&self) -> Flushed<'_> {
        Flushed::new(self)
    }

    /// Ready likewise. Who has to wait gets a number, and must [say](Self::forget_waiting) when it waits no longer.
    pub(super) fn poll_flushed(&self, number: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.closed || self.is_low(&state) {
            return Poll::Ready(());
        }
        let number = *number.get_or_insert_with(|| state.waiting.number());
        let before = state.waiting.keep(number, cx.waker());
        drop(state);
        drop(before);
        Poll::Pending
    }

    pub(super) fn forget_waiting(&self, number: u64) {
        let waker = self.state.lock().waiting.remove(number);
        drop(waker);
    }

    fn is_low(&self, state: &State) -> bool {
        state.packets <= self.max_packets / 4 && state.bytes <= self.max_bytes / 4
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

    /// Refuses everything from now on and forgets what was queued.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        let closed = State {
            closed: true,
            ..State::default()
        };
        let mut before = std::mem::replace(&mut *state, closed);
        self.measure(&state);
        drop(state);
        let woken = before.waiting.take().chain(before.line.close());
        woken.for_each(Waker::wake);
    }
}

/// After a burst, an idle connection needs no room for the next one.
pub(crate) fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > KEPT {
        *queue = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;
    use crate::protocol::socket_io::{EncodedPacket, Kind};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn frame() -> Frame {
        Frame::new(EncodedPacket::plain(Kind::Disconnect, "/", None))
    }

    fn named(nsp: &str) -> Frame {
        Frame::new(EncodedPacket::plain(Kind::Disconnect, nsp, None))
    }

    fn take(outbox: &Outbox) -> usize {
        let mut frames = VecDeque::new();
        outbox.take(&mut frames);
        frames.len()
    }

    #[test]
    fn frames_count_until_they_are_written() {
        let outbox = Outbox::new(2, 1000);
        assert_eq!(outbox.push(frame(), false), Pushed::Queued);
        assert_eq!(outbox.push(frame(), false), Pushed::Queued);
        assert_eq!(take(&outbox), 2);
        assert!(matches!(outbox.push(frame(), false), Pushed::Full(_)));
        outbox.settle(1, frame().size(), false);
        assert_eq!(outbox.push(frame(), false), Pushed::Queued);
    }

    #[test]
    fn bytes_are_limited_but_one_frame_of_any_size_is_taken() {
        let outbox = Outbox::new(10, 1);
        assert_eq!(outbox.push(frame(), false), Pushed::Queued);
        assert_eq!(outbox.push(frame(), false), Pushed::Full(frame().size()));
    }

    #[test]
    fn what_is_volatile_is_dropped_when_the_transport_is_not_ready() {
        let outbox = Outbox::new(10, 1000);
        assert_eq!(outbox.push(frame(), true), Pushed::Queued);
        assert_eq!(outbox.push(frame(), true), Pushed::Dropped);
        assert_eq!(take(&outbox), 1);
        outbox.settle(1, frame().size(), false);
        outbox.settle(0, 0, true);
        assert_eq!(outbox.push(frame(), true), Pushed::Dropped);
    }

    #[test]
    fn a_push_wakes_the_writer_once_or_keeps_it_from_sleeping() {
        let (outbox, count) = (Outbox::new(10, 1000), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        outbox.push(frame(), false);
        assert!(outbox.register(&waker), "something has happened before");
        assert!(!outbox.register(&waker));
        outbox.push(frame(), false);
        outbox.push(frame(), false);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn who_waits_for_room_is_woken_when_there_is_some_or_never_will_be() {
        let (outbox, count) = (Outbox::new(2, 1000), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let cx = &mut Context::from_waker(&waker);
        assert!(pin!(outbox.flushed()).poll(cx).is_ready());
        outbox.push(frame(), false);
        let mut flushed = pin!(outbox.flushed());
        assert!(flushed.as_mut().poll(cx).is_pending());
        outbox.settle(1, frame().size(), false);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        outbox.push(frame(), false);
        assert!(flushed.as_mut().poll(cx).is_pending());
        outbox.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(outbox.push(frame(), false), Pushed::Closed);
    }

    #[test]
    fn frames_that_wait_for_room_are_let_in_in_order_and_overtaken_by_none() {
        let (outbox, count) = (Outbox::new(1, 1000), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let cx = &mut Context::from_waker(&waker);
        let mut sends = ["/a", "/b", "/c", "/d"].map(|name| Box::pin(outbox.send(named(name))));
        assert!(sends[0].as_mut().poll(cx).is_ready());
        for send in &mut sends[1..] {
            assert!(send.as_mut().poll(cx).is_pending());
        }
        let mut sends = sends.into_iter().skip(1);
        let (first, withdrawn, mut last) = (sends.next(), sends.next(), sends.next().unwrap());
        let mut first = first.unwrap();
        assert_eq!(outbox.queued().packets, 1);

        assert_eq!(take(&outbox), 1);
        assert!(!outbox.settle(1, named("/a").size(), false));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(matches!(first.as_mut().poll(cx), Poll::Ready(Ok(()))));
        assert!(last.as_mut().poll(cx).is_pending());
        drop(withdrawn);

        let mut frames = VecDeque::new();
        outbox.take(&mut frames);
        assert_eq!(frames[0].text(), b"41/b,");
        assert!(matches!(outbox.push(frame(), false), Pushed::Full(_)));
        outbox.settle(1, frames[0].size(), false);
        assert!(matches!(last.as_mut().poll(cx), Poll::Ready(Ok(()))));
        outbox.take(&mut frames);
        assert_eq!(frames[1].text(), b"41/d,");
    }

    #[test]
    fn what_waits_behind_a_frame_that_is_withdrawn_may_fit() {
        let outbox = Outbox::new(10, 2 * frame().size());
        let cx = &mut Context::from_waker(Waker::noop());
        outbox.push(frame(), false);
        let mut large = Box::pin(outbox.send(named(&"/".repeat(100))));
        let mut small = Box::pin(outbox.send(frame()));
        assert!(large.as_mut().poll(cx).is_pending());
        assert!(small.as_mut().poll(cx).is_pending());
        drop(large);
        assert!(small.as_mut().poll(cx).is_ready());
        assert_eq!(take(&outbox), 2);
    }

    #[test]
    fn what_waits_for_room_counts_as_refused_until_some_has_been_written() {
        let outbox = Outbox::new(1, 1000);
        let cx = &mut Context::from_waker(Waker::noop());
        outbox.push(frame(), false);
        let mut sends = [(); 2].map(|()| Box::pin(outbox.send(frame())));
        for send in &mut sends {
            assert!(send.as_mut().poll(cx).is_pending());
        }
        assert!(outbox.settle(0, 0, true), "the client does not read");
        assert!(!outbox.settle(1, frame().size(), true), "it does");
        assert!(outbox.settle(0, 0, true), "and now it does not again");
        outbox.close();
        for send in &mut sends {
            let sent = send.as_mut().poll(cx);
            assert!(matches!(sent, Poll::Ready(Err(EmitError::Closed))));
        }
    }

    #[test]
    fn of_who_waits_for_room_one_waker_is_kept_and_of_who_does_no_longer_none() {
        let outbox = Outbox::new(2, 1000);
        outbox.push(frame(), false);
        let waiting = || outbox.state.lock().waiting.len();
        let mut flushed = Box::pin(outbox.flushed());
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Count::default()));
            assert!(
                flushed
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            assert_eq!(waiting(), 1);
        }
        drop(flushed);
        assert_eq!(waiting(), 0);
    }

    #[test]
    fn what_the_protocol_owes_is_queued_beyond_the_limits() {
        let outbox = Outbox::new(2, 1000);
        for _ in 0..3 {
            outbox.push_owed(frame());
        }
        assert_eq!(outbox.state.lock().packets, 3);
        assert!(matches!(outbox.push(frame(), false), Pushed::Full(_)));
        outbox.close();
        outbox.push_owed(frame());
        assert_eq!(take(&outbox), 0);
    }

    #[test]
    fn it_is_crowded_above_half_of_its_limits() {
        let outbox = Outbox::new(2, 1000);
        outbox.push(frame(), false);
        assert!(!outbox.is_crowded());
        outbox.push(frame(), false);
        assert!(outbox.is_crowded());
        take(&outbox);
        assert!(outbox.is_crowded(), "taken, but not written");
        outbox.settle(1, frame().size(), false);
        assert!(!outbox.is_crowded());
    }

    #[test]
    fn frames_are_taken_in_order_and_one_by_one_if_they_fit() {
        let outbox = Outbox::new(1000, 100_000);
        let mut taken = VecDeque::from([named("/0")]);
        for name in ["/1", "/2", "/3"] {
            outbox.push(named(name), false);
        }
        assert!(outbox.take_if(|_| false).is_none());
        let first = outbox.take_if(|frame| frame.packets() == 1).unwrap();
        assert_eq!(first.text(), b"41/1,");
        outbox.take(&mut taken);
        assert!(outbox.is_empty());
        let texts: Vec<_> = taken.iter().map(Frame::text).collect();
        assert_eq!(texts, [b"41/0,", b"41/2,", b"41/3,"]);
        for _ in 0..100 {
            outbox.push(named("/x"), false);
        }
        outbox.take(&mut taken);
        assert_eq!(taken.len(), 103);
        assert_eq!(taken[0].text(), b"41/0,");
    }

    #[test]
    fn who_has_taken_all_may_sleep() {
        let outbox = Outbox::new(10, 1000);
        outbox.push(frame(), false);
        take(&outbox);
        assert!(!outbox.register(Waker::noop()));
        outbox.nudge();
        take(&outbox);
        assert!(outbox.register(Waker::noop()), "not for a frame");
        assert!(outbox.take_nudge() && !outbox.take_nudge());
        assert!(!outbox.register(Waker::noop()));
    }

    #[test]
    fn who_is_awake_is_not_woken_but_looks_again() {
        let (outbox, count) = (Outbox::new(10, 1000), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        assert!(!outbox.register(&waker));
        outbox.awake();
        outbox.push(frame(), false);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        assert!(outbox.register(&waker));
    }
}
