//! Numbers that many threads add to.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::families::{Counted, Family, SLOTS, start};

/// The maximum number of shards. More processors than this share them.
const MAX_SHARDS: usize = 64;

/// The numbers of some threads. It has cache lines of its own; processors load two of them together.
#[derive(Debug)]
#[repr(align(128))]
struct Shard([AtomicU64; SLOTS]);

/// The numbers of a server. Each thread adds to a shard that it shares with few others or none: one relaxed addition,
/// on memory that no other processor writes to.
#[derive(Debug)]
pub(crate) struct Counters {
    /// The shards; their number is a power of two.
    shards: Box<[Shard]>,
}

impl Counters {
    /// Creates counters for this number of threads that run at once.
    pub(crate) fn new(threads: usize) -> Self {
        let count = threads.clamp(1, MAX_SHARDS).next_power_of_two();
        let shard = |_| Shard([const { AtomicU64::new(0) }; SLOTS]);
        let shards = (0..count).map(shard).collect();
        Self { shards }
    }

    /// Adds to a number.
    #[inline]
    pub(crate) fn add(&self, counted: Counted, count: usize) {
        self.change(counted, count as u64);
    }

    /// Adds to several numbers, for which the shard is looked up once.
    #[inline]
    pub(crate) fn add_all<const N: usize>(&self, all: [(Counted, usize); N]) {
        if let Some(Shard(numbers)) = self.shard() {
            for (counted, count) in all {
                if let Some(number) = numbers.get(counted.index()) {
                    number.fetch_add(count as u64, Ordering::Relaxed);
                }
            }
        }
    }

    /// Adds packets and bytes that transports have accepted.
    #[inline]
    pub(crate) fn add_sent(&self, packets: usize, bytes: usize) {
        self.add_all([(Counted::SentPackets, packets), (Counted::SentBytes, bytes)]);
    }

    /// Subtracts from a number.
    #[inline]
    pub(crate) fn sub(&self, counted: Counted, count: usize) {
        self.change(counted, (count as u64).wrapping_neg());
    }

    /// Changes a number by the difference between two amounts.
    pub(crate) fn shift(&self, counted: Counted, before: usize, now: usize) {
        self.change(counted, (now as u64).wrapping_sub(before as u64));
    }

    /// Changes a number. If it is known at compile time, so is its index.
    #[inline]
    fn change(&self, counted: Counted, by: u64) {
        // A thread that subtracts what another one has added brings its shard below zero, but the sum is right.
        if let Some(Shard(numbers)) = self.shard()
            && let Some(number) = numbers.get(counted.index())
        {
            number.fetch_add(by, Ordering::Relaxed);
        }
    }

    #[inline]
    fn shard(&self) -> Option<&Shard> {
        self.shards.get(thread() & (self.shards.len() - 1))
    }

    /// Returns the numbers of a family, by the values of its label.
    pub(crate) fn numbers(&self, family: Family) -> impl Iterator<Item = (&'static str, u64)> {
        let sum = move |index: usize| {
            let shards = self.shards.iter();
            let numbers = shards.filter_map(|Shard(numbers)| numbers.get(index));
            let sum = numbers.fold(0_u64, |sum, number| {
                sum.wrapping_add(number.load(Ordering::Relaxed))
            });
            // The shards are read one after another, so an item that ends meanwhile may be subtracted without having
            // been added.
            if sum > u64::MAX / 2 { 0 } else { sum }
        };
        let values = family.declaration().values.iter();
        values
            .zip(start(family)..)
            .map(move |(value, index)| (*value, sum(index)))
    }
}

/// Returns the number of this thread. Threads are numbered one after another.
#[inline]
fn thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    THREAD.get().unwrap_or_else(|| {
        let number = THREADS.fetch_add(1, Ordering::Relaxed);
        THREAD.set(Some(number));
        number
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::{ByLabel, CloseReason, Hook, InputLimit, Metrics, UpgradeOutcome};
    use super::*;
    use proto::DisconnectReason;
    use proto::engine_io::Transport;

    fn read(counters: &Counters) -> Metrics {
        Metrics::collect(|family| counters.numbers(family), BTreeMap::new())
    }

    /// Returns the numbers that are not zero.
    fn moved(numbers: &ByLabel) -> Vec<(&'static str, u64)> {
        let all = numbers.iter().map(|(label, number)| (*label, *number));
        all.filter(|(_, number)| *number > 0).collect()
    }

    #[test]
    fn additions_and_subtractions_of_threads_are_summed() {
        let counters = Counters::new(3);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counters.add(Counted::EventsReceived, 1);
                        counters.add(Counted::Connections(Transport::WebSocket), 2);
                    }
                });
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counters.sub(Counted::Connections(Transport::WebSocket), 1);
                    }
                });
            }
        });
        let metrics = read(&counters);
        assert_eq!(metrics.events_received, 8000);
        assert_eq!(metrics.connections["websocket"], 8000);
        assert_eq!(metrics.connections["polling"], 0);
    }

    #[test]
    fn a_gauge_that_is_read_in_the_middle_is_not_below_zero() {
        let counters = Counters::new(1);
        counters.sub(Counted::HandlersWaiting, 1);
        assert_eq!(read(&counters).handlers_waiting, 0);
        counters.add(Counted::HandlersWaiting, 1);
        assert_eq!(read(&counters).handlers_waiting, 0);
    }

    #[test]
    fn each_number_has_an_index_of_its_own() {
        let counters = Counters::new(1);
        for (number, counted) in [
            Counted::Upgrades(UpgradeOutcome::Done),
            Counted::SocketsConnected,
            Counted::AcksTimedOut,
        ]
        .into_iter()
        .enumerate()
        {
            counters.add(counted, number + 1);
        }
        let metrics = read(&counters);
        assert_eq!(metrics.upgrades, [("done", 1), ("failed", 0)].into());
        assert_eq!(metrics.sockets_connected, 2);
        assert_eq!(metrics.acks_timed_out, 3);
        assert_eq!(metrics.connections_closed.values().sum::<u64>(), 0);
    }

    #[test]
    fn labels_are_counted_under_their_names() {
        let counters = Counters::new(1);
        let reason = DisconnectReason::PingTimeout;
        counters.add(Counted::SocketsDisconnected(reason), 2);
        let reason = CloseReason::Disconnect(DisconnectReason::QueueFull);
        counters.add(Counted::ConnectionsClosed(reason), 1);
        counters.add(Counted::ConnectionsClosed(CloseReason::PayloadTooLarge), 3);
        counters.add(Counted::InputRefused(InputLimit::Ratio), 4);
        counters.add(Counted::HookPanics(Hook::AllowRequest), 5);
        let metrics = read(&counters);
        assert_eq!(moved(&metrics.sockets_disconnected), [("ping timeout", 2)]);
        let closed = [("payload too large", 3), ("queue full", 1)];
        assert_eq!(moved(&metrics.connections_closed), closed);
        assert_eq!(
            moved(&metrics.input_refused),
            [("Compression::max_ratio", 4)]
        );
        assert_eq!(moved(&metrics.hook_panics), [("allow_request", 5)]);
    }

    #[test]
    fn no_label_has_two_values_of_one_name() {
        for declaration in Family::DECLARATIONS {
            let names: BTreeSet<_> = declaration.values.iter().collect();
            assert_eq!(
                names.len(),
                declaration.values.len(),
                "{}",
                declaration.name
            );
        }
    }
}
