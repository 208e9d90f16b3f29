//! Frames that wait for room in an outbox, and tasks that wait until most of it has been written.

use std::collections::VecDeque;
use std::task::Waker;

use super::Frame;
use proto::buf::shrink_if_empty;

/// The waiting frames, in first-in, first-out order.
#[derive(Debug, Default)]
pub(super) struct WaitingFrames {
    waiting: VecDeque<WaitingFrame>,
    /// The number assigned last.
    numbers: u64,
}

#[derive(Debug)]
pub(super) struct WaitingFrame {
    number: u64,
    frame: Frame,
    waker: Waker,
}

impl WaitingFrames {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Appends a frame and returns its number.
    pub(super) fn push(&mut self, frame: Frame, waker: Waker) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        self.waiting.push_back(WaitingFrame {
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
    pub(super) fn remove(&mut self, number: u64) -> Option<WaitingFrame> {
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

/// The registered wakers, one for each waiting future.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    wakers: Vec<(u64, Waker)>,
    /// The number assigned last.
    numbers: u64,
}

impl Wakers {
    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Returns a new number for a future that has to wait.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Registers a waker, replacing the one with the same number. Returns the replaced waker, which the caller drops.
    pub(super) fn register(&mut self, number: u64, waker: &Waker) -> Option<Waker> {
        let mut wakers = self.wakers.iter_mut();
        match wakers.find(|(known, _)| *known == number) {
            Some((_, old)) if old.will_wake(waker) => None,
            Some((_, old)) => Some(std::mem::replace(old, waker.clone())),
            None => {
                self.wakers.push((number, waker.clone()));
                None
            }
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Waker> {
        let mut wakers = self.wakers.iter();
        let at = wakers.position(|(known, _)| *known == number)?;
        Some(self.wakers.swap_remove(at).1)
    }

    /// Removes all wakers and returns them to be woken.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.wakers)
            .into_iter()
            .map(|(_, waker)| waker)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.wakers.len()
    }
}
