//! Senders that wait for room in an outbox, and tasks that wait until most of it has been written.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{Outbox, State};
use crate::outbox::{EmitError, Frame};

/// A future that resolves once an outbox has queued a frame, or has been closed; see [`Outbox::send`]. If it is dropped
/// before, the frame is not sent.
#[must_use]
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    outbox: &'a Outbox,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    New(Frame),
    /// Waiting under this number.
    Waiting(u64),
    Over,
}

impl<'a> Sending<'a> {
    fn new(outbox: &'a Outbox, frame: Frame) -> Self {
        let stage = Stage::New(frame);
        Self { outbox, stage }
    }
}

impl Future for Sending<'_> {
    type Output = Result<(), EmitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outbox = self.outbox;
        outbox.poll_send(&mut self.stage, cx)
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Stage::Waiting(number) = self.stage {
            self.outbox.withdraw(number);
        }
    }
}

/// A future that resolves once an outbox has room again; see [`Outbox::flushed`]. Dropping it removes its waker.
#[must_use]
#[derive(Debug)]
pub(crate) struct Flushed<'a> {
    outbox: &'a Outbox,
    /// The number under which its waker is registered.
    number: Option<u64>,
}

impl<'a> Flushed<'a> {
    fn new(outbox: &'a Outbox) -> Self {
        let number = None;
        Self { outbox, number }
    }
}

impl Future for Flushed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let outbox = self.outbox;
        outbox.poll_flushed(&mut self.number, cx)
    }
}

impl Drop for Flushed<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.outbox.remove_flush_waker(number);
        }
    }
}

impl Outbox {
    /// Queues a frame once there is room, behind those that have waited longer.
    pub(crate) fn send(&self, frame: Frame) -> Sending<'_> {
        Sending::new(self, frame)
    }

    fn poll_send(&self, stage: &mut Stage, cx: &mut Context<'_>) -> Poll<Result<(), EmitError>> {
        // Frames contain users' bytes, and wakers refer to users' tasks: both must not be dropped while the lock is
        // held.
        let before = std::mem::replace(stage, Stage::Over);
        let mut state = self.state.lock();
        match before {
            // A frame that was queued just before the outbox closed is lost.
            _ if state.closed => Poll::Ready(Err(EmitError::Closed)),
            Stage::New(frame) if !state.has_waiting_frames() && self.has_room(&state, &frame) => {
                self.queue(state, frame);
                Poll::Ready(Ok(()))
            }
            Stage::New(frame) => {
                let waiting = state.waiting_frames.get_or_insert_default();
                *stage = Stage::Waiting(waiting.push(frame, cx.waker().clone()));
                self.refuse(state);
                Poll::Pending
            }
            Stage::Waiting(number) => {
                let waiting = state.waiting_frames.as_mut();
                let Some(waker) = waiting.and_then(|waiting| waiting.waker(number)) else {
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

    /// Removes a waiting frame that is no longer to be sent. Frames behind it may fit now.
    fn withdraw(&self, number: u64) {
        let mut state = self.state.lock();
        let waiting = state.waiting_frames.as_mut();
        let withdrawn = waiting.and_then(|waiting| waiting.remove(number));
        let admitted = self.admit(&mut state);
        Self::wake_writer(state);
        admitted.into_iter().for_each(Waker::wake);
        drop(withdrawn);
    }

    /// Queues the waiting frames that fit. Returns the wakers of their senders.
    fn admit(&self, state: &mut State) -> Vec<Waker> {
        let mut admitted = Vec::new();
        while let Some(first) = state
            .waiting_frames
            .as_ref()
            .and_then(|waiting| waiting.first())
        {
            state.full = !self.has_room(state, first);
            if state.full {
                break;
            }
            if let Some((frame, waker)) = state
                .waiting_frames
                .as_mut()
                .and_then(|waiting| waiting.take_first())
            {
                self.enqueue(state, frame);
                admitted.push(waker);
            }
        }
        admitted
    }

    /// Queues the waiting frames that fit. Returns the wakers of their senders and, if little is queued, of those that
    /// wait for a flush.
    pub(super) fn admit_waiting(
        &self,
        state: &mut State,
    ) -> Option<impl Iterator<Item = Waker> + use<>> {
        if !state.has_waiting_frames() && state.flush_wakers.is_empty() {
            return None;
        }
        let admitted = self.admit(state);
        let waiting = self.is_low(state).then(|| state.flush_wakers.take());
        Some(waiting.into_iter().flatten().chain(admitted))
    }

    /// Waits until at most a quarter of either limit is used, or the outbox is closed.
    pub(crate) fn flushed(&self) -> Flushed<'_> {
        Flushed::new(self)
    }

    /// Polls for [`flushed`](Self::flushed). A waiting caller is assigned a number, which it must pass to
    /// [`remove_flush_waker`](Self::remove_flush_waker) when it stops waiting.
    fn poll_flushed(&self, number: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.closed || self.is_low(&state) {
            return Poll::Ready(());
        }
        let number = *number.get_or_insert_with(|| state.flush_wakers.number());
        let before = state.flush_wakers.register(number, cx.waker());
        drop(state);
        drop(before);
        Poll::Pending
    }

    fn remove_flush_waker(&self, number: u64) {
        let waker = self.state.lock().flush_wakers.remove(number);
        drop(waker);
    }

    pub(super) fn is_low(&self, state: &State) -> bool {
        state.packets <= self.max_packets / 4 && state.bytes <= self.max_bytes / 4
    }
}
