//! Waiting for room in an outbox.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Outbox;

/// A future that resolves once an outbox has room again; see [`Outbox::flushed`]. Dropping it removes its waker.
#[must_use]
#[derive(Debug)]
pub(crate) struct Flushed<'a> {
    outbox: &'a Outbox,
    /// The number under which its waker is registered.
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

/// The registered wakers, one for each waiting future.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    wakers: Vec<(u64, Waker)>,
    /// The number assigned last.
    numbers: u64,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Returns a new number for a future that has to wait.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Registers a waker, replacing the one with the same number. Returns the replaced waker, which the caller drops.
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
