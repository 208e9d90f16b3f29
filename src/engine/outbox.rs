//! What waits to be written to one client: a bounded queue of frames with a waker.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::Frame;
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

/// The queue between everybody who emits and the one task that writes.
#[derive(Debug)]
pub(crate) struct Outbox {
    max_packets: usize,
    max_bytes: usize,
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
    /// The transport could not take all that it was given, or (polling) nobody is waiting.
    stalled: bool,
    /// A frame was refused since the queue was last below its limits.
    refused: bool,
    woken: bool,
    closed: bool,
    waker: Option<Waker>,
    /// Who waits for room.
    waiting: Vec<Waker>,
}

/// What [`Outbox::take`] saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Frames are being refused because the client does not read.
    pub(crate) refused: bool,
}

impl Outbox {
    pub(crate) fn new(max_packets: usize, max_bytes: usize) -> Self {
        Self {
            max_packets,
            max_bytes,
            state: Lock::new(State::default()),
        }
    }

    /// Queues a frame and wakes the writer.
    pub(crate) fn push(&self, frame: Frame, volatile: bool) -> Pushed {
        let size = frame.size();
        let mut state = self.state.lock();
        if state.closed {
            return Pushed::Closed;
        }
        if volatile && (state.stalled || state.packets > 0) {
            return Pushed::Dropped;
        }
        if state.packets >= self.max_packets
            || (state.packets > 0 && state.bytes + size > self.max_bytes)
        {
            if volatile {
                return Pushed::Dropped;
            }
            state.refused = true;
            let bytes = state.bytes;
            Self::wake(state);
            return Pushed::Full(bytes);
        }
        state.packets += 1;
        state.bytes += size;
        if state.first.is_none() && state.rest.is_empty() {
            state.first = Some(frame);
        } else {
            state.rest.push_back(frame);
        }
        Self::wake(state);
        Pushed::Queued
    }

    /// Wakes the writer without queueing anything.
    pub(crate) fn wake_writer(&self) {
        Self::wake(self.state.lock());
    }

    fn wake(mut state: std::sync::MutexGuard<'_, State>) {
        state.woken = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves all that is queued into `into`, in order. It counts against the limits until [`written`](Self::written).
    pub(crate) fn take(&self, into: &mut VecDeque<Frame>) -> Taken {
        let mut state = self.state.lock();
        into.extend(state.first.take());
        into.append(&mut state.rest);
        Taken {
            refused: state.refused,
        }
    }

    /// Reports what the transport has taken over.
    pub(crate) fn written(&self, packets: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.packets = state.packets.saturating_sub(packets);
        state.bytes = state.bytes.saturating_sub(bytes);
        if state.packets < self.max_packets && state.bytes < self.max_bytes {
            state.refused = false;
        }
        let waiting = if self.is_low(&state) {
            std::mem::take(&mut state.waiting)
        } else {
            Vec::new()
        };
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ready when no more than a quarter of either limit is waiting, or nothing ever will be.
    pub(crate) fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.closed || self.is_low(&state) {
            return Poll::Ready(());
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    fn is_low(&self, state: &State) -> bool {
        state.packets <= self.max_packets / 4 && state.bytes <= self.max_bytes / 4
    }

    /// Whether it has refused a frame since it was last below its limits.
    pub(crate) fn refuses(&self) -> bool {
        self.state.lock().refused
    }

    /// Says whether the transport can take more at once.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.state.lock().stalled = stalled;
    }

    /// Leaves the writer's waker, unless something has happened since the last call.
    ///
    /// Returns true when the writer must look again instead of sleeping.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.woken) {
            return true;
        }
        match &mut state.waker {
            Some(old) if old.will_wake(waker) => {}
            slot => *slot = Some(waker.clone()),
        }
        false
    }

    /// Packets and bytes that are not yet written.
    pub(crate) fn pending(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.packets, state.bytes)
    }

    /// Refuses everything from now on and forgets what was queued.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        let before = std::mem::replace(
            &mut *state,
            State {
                closed: true,
                ..State::default()
            },
        );
        drop(state);
        before.waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
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
        outbox.written(1, frame().size());
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
        outbox.written(1, frame().size());
        outbox.set_stalled(true);
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
        assert!(outbox.poll_flushed(cx).is_ready());
        outbox.push(frame(), false);
        assert!(outbox.poll_flushed(cx).is_pending());
        outbox.written(1, frame().size());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        outbox.push(frame(), false);
        assert!(outbox.poll_flushed(cx).is_pending());
        outbox.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(outbox.push(frame(), false), Pushed::Closed);
    }
}
