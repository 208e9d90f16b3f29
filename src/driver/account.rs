//! The number of bytes of their clients' input that all connections of a server hold.
//!
//! Each connection publishes its own figure through a [`Share`], in steps, so that connections that hold little touch
//! no shared memory. Near the limit a connection may hold a multiple of the free bytes, as switches share their packet
//! buffers (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches"). The largest
//! holders stop reading first, and some room is always left for the others. A connection that holds no more than
//! [`FLOOR`] is never paused for the limit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::detached::DetachedHandlers;
use crate::metrics::{Counted, Counters};
use crate::sync::Lock;

/// The number of bytes by which a figure must change to be published. A figure that has fallen below [`LITTLE`] is
/// always published.
const STEP: usize = 16 * 1024;

/// A connection that holds less than this number of bytes counts as one that holds nothing.
pub(super) const LITTLE: usize = 4 * 1024;

/// The number of bytes that every connection may hold, however much the others hold.
const FLOOR: usize = 64 * 1024;

/// The number of times the free bytes that a connection may hold.
const TIMES_FREE: usize = 4;

/// The number of paused connections that are woken when the total falls. Each of them that can go on releases bytes in
/// turn, which wakes others.
const WOKEN: usize = 16;

/// The number of paused connections that still hold too much and are skipped to find others that can be woken.
const PASSED: usize = 4 * WOKEN;

/// The account of the bytes that all connections of a server hold.
#[derive(Debug)]
pub(super) struct Account {
    max: usize,
    total: AtomicUsize,
    paused: Lock<VecDeque<Arc<Paused>>>,
    /// True if any connection is paused. It is read at each release, without the lock.
    any_paused: AtomicBool,
    pub(super) detached: DetachedHandlers,
}

/// A connection that waits for the total to fall. One without a waker does not wait any more.
#[derive(Debug, Default)]
struct Paused {
    waker: AtomicWaker,
    /// The highest total at which the connection may read again.
    enough: AtomicUsize,
    queued: AtomicBool,
}

impl Account {
    /// Takes the most bytes of all connections, and the most handlers whose connections have closed.
    pub(super) fn new(max: usize, max_detached: usize) -> Self {
        Self {
            max,
            total: AtomicUsize::new(0),
            paused: Lock::default(),
            any_paused: AtomicBool::new(false),
            detached: DetachedHandlers::new(max_detached),
        }
    }

    /// Returns the most bytes that all connections may hold.
    pub(super) const fn max(&self) -> usize {
        self.max
    }

    fn enqueue(&self, paused: &Arc<Paused>) {
        if !paused.queued.swap(true, Ordering::AcqRel) {
            let mut queue = self.paused.lock();
            queue.push_back(Arc::clone(paused));
            self.any_paused.store(true, Ordering::SeqCst);
        }
    }

    fn wake_some(&self) {
        if !self.any_paused.load(Ordering::SeqCst) {
            return;
        }
        let total = self.total.load(Ordering::SeqCst);
        let (mut woken, mut passed) = (Vec::new(), 0);
        let mut queue = self.paused.lock();
        for _ in 0..queue.len() {
            if woken.len() == WOKEN || passed == PASSED {
                break;
            }
            let Some(paused) = queue.pop_front() else {
                break;
            };
            if total > paused.enough.load(Ordering::SeqCst) {
                queue.push_back(paused);
                passed += 1;
                continue;
            }
            // The flag is cleared before the waker is taken: a connection that registers one afterwards is queued
            // again.
            paused.queued.swap(false, Ordering::AcqRel);
            woken.extend(paused.waker.take());
        }
        if queue.is_empty() {
            *queue = VecDeque::new();
            self.any_paused.store(false, Ordering::SeqCst);
        }
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// The part of the account that one connection holds.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) account: Arc<Account>,
    counters: Arc<Counters>,
    published: usize,
    paused: Option<Arc<Paused>>,
}

impl Share {
    pub(super) fn new(account: Arc<Account>, counters: Arc<Counters>) -> Self {
        Self {
            account,
            counters,
            published: 0,
            paused: None,
        }
    }

    /// Returns the number of bytes that was published last.
    pub(super) const fn published(&self) -> usize {
        self.published
    }

    /// Sets the number of bytes that the connection holds.
    pub(super) fn set(&mut self, held: usize) {
        // A few bytes count as nothing. Otherwise bytes that stay, such as an auth, would keep a whole step in the
        // account.
        let held = if held < LITTLE { 0 } else { held };
        let done = held == 0 && self.published > 0;
        if done || held.abs_diff(self.published) >= STEP {
            self.publish(held);
        }
    }

    #[cold]
    fn publish(&mut self, held: usize) {
        let before = std::mem::replace(&mut self.published, held);
        if held > before {
            let more = held - before;
            self.account.total.fetch_add(more, Ordering::SeqCst);
            self.counters.add(Counted::InboundBytes, more);
        } else {
            let less = before - held;
            self.account.total.fetch_sub(less, Ordering::SeqCst);
            self.counters.sub(Counted::InboundBytes, less);
            self.account.wake_some();
        }
    }

    /// Returns true if a connection that holds this much must stop reading, because all connections together hold too
    /// much.
    pub(super) fn is_too_much(&self, held: usize) -> bool {
        if held <= FLOOR {
            return false;
        }
        self.account.total.load(Ordering::SeqCst) > self.enough(held)
    }

    /// Returns the highest total at which a connection that holds this much may read.
    fn enough(&self, held: usize) -> usize {
        let max = self.account.max.saturating_add(self.published);
        max.saturating_sub(held + held.div_ceil(TIMES_FREE))
    }

    /// Wakes the task when the total has fallen so far that a connection that holds this much may read. The caller must
    /// check the total again after this call, since it may have fallen before.
    pub(super) fn wake(&mut self, held: usize, waker: &Waker) {
        let enough = self.enough(held);
        let paused = self.paused.get_or_insert_default();
        paused.enough.store(enough, Ordering::SeqCst);
        paused.waker.register(waker);
        self.account.enqueue(paused);
    }

    /// Cancels [`wake`](Self::wake).
    pub(super) fn cancel_wake(&self) {
        if let Some(paused) = &self.paused {
            paused.enough.store(usize::MAX, Ordering::SeqCst);
            drop(paused.waker.take());
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.cancel_wake();
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    const MEGABYTE: usize = 1_000_000;

    fn account(max: usize) -> Arc<Account> {
        Arc::new(Account::new(max, 1))
    }

    fn share(account: &Arc<Account>) -> Share {
        Share::new(Arc::clone(account), Arc::new(Counters::new(1)))
    }

    fn total(account: &Account) -> usize {
        account.total.load(Ordering::SeqCst)
    }

    #[test]
    fn small_changes_are_not_published_and_an_empty_connection_holds_nothing() {
        let account = account(MEGABYTE);
        let mut share = share(&account);
        share.set(STEP - 1);
        assert_eq!(total(&account), 0);
        share.set(STEP);
        share.set(2 * STEP - 1);
        assert_eq!(total(&account), STEP);
        share.set(0);
        assert_eq!(total(&account), 0);
        share.set(STEP);
        drop(share);
        assert_eq!(total(&account), 0);
    }

    #[test]
    fn a_connection_at_the_limit_pauses_and_leaves_room_for_others() {
        let account = account(10 * MEGABYTE);
        let mut attackers: Vec<_> = (0..10).map(|_| (share(&account), 0)).collect();
        let mut went_on = true;
        while went_on {
            went_on = false;
            for (share, held) in &mut attackers {
                if !share.is_too_much(*held) {
                    *held += 100_000;
                    share.set(*held);
                    went_on = true;
                }
            }
        }
        let all = total(&account);
        assert!((9 * MEGABYTE..11 * MEGABYTE).contains(&all), "{all}");
        assert!(!share(&account).is_too_much(FLOOR));
        // What one of them gives back is there for a newcomer.
        attackers[0].0.set(0);
        assert!(!share(&account).is_too_much(500_000));
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Count {
        fn woken(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn paused_connections_are_woken_when_the_total_falls() {
        let account = account(MEGABYTE);
        let (mut holder, mut waiter) = (share(&account), share(&account));
        holder.set(MEGABYTE);
        let count = Arc::new(Count::default());
        for _ in 0..3 {
            waiter.wake(100_000, &Arc::clone(&count).into());
        }
        holder.set(2 * MEGABYTE);
        holder.set(MEGABYTE);
        assert_eq!(count.woken(), 0);
        holder.set(MEGABYTE / 2);
        assert_eq!(count.woken(), 1);
        holder.set(0);
        assert_eq!(count.woken(), 1, "it waits no longer");
    }

    #[test]
    fn connections_that_no_longer_wait_are_not_woken() {
        let account = account(MEGABYTE);
        let mut holder = share(&account);
        holder.set(MEGABYTE);
        let (gone, count) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut cancelled: Vec<_> = (0..3 * PASSED).map(|_| share(&account)).collect();
        for share in &mut cancelled {
            share.wake(100_000, &Arc::clone(&gone).into());
        }
        let mut waiter = share(&account);
        waiter.wake(100_000, &Arc::clone(&count).into());
        cancelled.iter().skip(PASSED).for_each(Share::cancel_wake);
        cancelled.truncate(2 * PASSED);
        // Some are dropped, some go on by themselves, and some are to be woken.
        cancelled
            .iter()
            .take(PASSED - 1)
            .for_each(Share::cancel_wake);
        holder.set(0);
        assert_eq!((gone.woken(), count.woken()), (1, 1));
        assert!(!account.any_paused.load(Ordering::SeqCst));
        assert_eq!(Arc::strong_count(&gone), 1);
        // One that has rested may wait again.
        holder.set(MEGABYTE);
        cancelled[0].wake(100_000, &Arc::clone(&gone).into());
        holder.set(0);
        assert_eq!(gone.woken(), 2);
    }

    #[test]
    fn the_connection_that_holds_least_is_woken_first() {
        const LARGE: usize = 400_000;
        const SMALL: usize = 100_000;
        let account = account(20 * MEGABYTE);
        let (large_count, small_count) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut holder = share(&account);
        holder.set(20 * MEGABYTE);
        let mut large: Vec<_> = (0..2 * WOKEN).map(|_| share(&account)).collect();
        for share in &mut large {
            share.set(LARGE);
            share.wake(LARGE, &Arc::clone(&large_count).into());
        }
        let mut small = share(&account);
        small.set(SMALL);
        small.wake(SMALL, &Arc::clone(&small_count).into());
        let others = large.len() * LARGE + SMALL;
        holder.set(20 * MEGABYTE - others - SMALL / TIMES_FREE);
        assert_eq!((large_count.woken(), small_count.woken()), (0, 1));
        assert!(!small.is_too_much(SMALL) && large[0].is_too_much(LARGE));
        holder.set(20 * MEGABYTE - others - LARGE / TIMES_FREE);
        assert_eq!(large_count.woken(), WOKEN);
    }
}
