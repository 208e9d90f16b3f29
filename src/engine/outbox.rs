//! What waits to be written to one client: a bounded queue of frames with a waker.

use std::collections::VecDeque;
use std::task::Waker;

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
        let waker = state.waker.take();
        *state = State {
            closed: true,
            ..State::default()
        };
        drop(state);
        drop(waker);
    }
}
