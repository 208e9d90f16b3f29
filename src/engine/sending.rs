//! Frames whose senders wait for room in an outbox.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{EmitError, Frame, Outbox};
use proto::buf::shrink_if_empty;

/// A future that resolves once an outbox has queued a frame, or has been closed; see [`Outbox::send`]. If it is dropped
/// before, the frame is not sent.
#[must_use]
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    outbox: &'a Outbox,
    stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    New(Frame),
    /// Waiting in the line under this number.
    Waiting(u64),
    Over,
}

impl<'a> Sending<'a> {
    pub(super) fn new(outbox: &'a Outbox, frame: Frame) -> Self {
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

/// The waiting frames, in first-in, first-out order.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Entry>,
    /// The number assigned last.
    numbers: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    frame: Frame,
    waker: Waker,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Appends a frame and returns its number.
    pub(super) fn enter(&mut self, frame: Frame, waker: Waker) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        self.waiting.push_back(Entry {
            number,
            frame,
            waker,
        });
        number
    }

    /// Returns the waker with this number, if its frame is still waiting.
    pub(super) fn waker(&mut self, number: u64) -> Option<&mut Waker> {
        let mut waiting = self.waiting.iter_mut();
        let entry = waiting.find(|entry| entry.number == number)?;
        Some(&mut entry.waker)
    }

    /// Returns the frame that has waited longest.
    pub(super) fn first(&self) -> Option<&Frame> {
        self.waiting.front().map(|entry| &entry.frame)
    }

    pub(super) fn take_first(&mut self) -> Option<(Frame, Waker)> {
        let entry = self.waiting.pop_front()?;
        shrink_if_empty(&mut self.waiting);
        Some((entry.frame, entry.waker))
    }

    /// Removes the entry with this number.
    pub(super) fn leave(&mut self, number: u64) -> Option<Entry> {
        let mut waiting = self.waiting.iter();
        let at = waiting.position(|entry| entry.number == number)?;
        self.waiting.remove(at)
    }

    /// Drops all frames and returns the wakers of their senders.
    pub(super) fn close(&mut self) -> impl Iterator<Item = Waker> + use<> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|entry| entry.waker)
    }
}
