//! Waiting for room in an outbox.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Outbox;

/// Resolves when an outbox has room again; see [`Outbox::flushed`]. It leaves nothing behind when it is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Flushed<'a> {
    outbox: &'a Outbox,
    /// Under which its waker is kept.
    number: Option<u64>,
}

impl<'a> Flushed<'a> {
    pub(super) fn new(outbox: &'a Outbox) -> Self {
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
            self.outbox.forget_waiting(number);
        }
    }
}

/// The wakers of those who wait, one each.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    wakers: Vec<(u64, Waker)>,
    /// How many have ever waited.
    numbers: u64,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// A number for one who has to wait.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Keeps a waker, in place of the one that is kept under the same number. Gives back what is no longer needed.
    pub(super) fn keep(&mut self, number: u64, waker: &Waker) -> Option<Waker> {
        let mut wakers = self.wakers.iter_mut();
        match wakers.find(|(kept, _)| *kept == number) {
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
        let at = wakers.position(|(kept, _)| *kept == number)?;
        Some(self.wakers.swap_remove(at).1)
    }

    /// All wakers, to be woken.
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
