//! Numbers that many threads add to.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::families::{Counted, Family};

/// The number of families.
const FAMILIES: usize = Counted::FAMILIES.len();

/// The index in a shard at which each family's numbers begin; the last one is the end.
#[expect(clippy::indexing_slicing, reason = "the compiler would find out")]
const STARTS: [usize; FAMILIES + 1] = {
    let mut starts = [0; FAMILIES + 1];
    let mut family = 0;
    while family < FAMILIES {
        starts[family + 1] = starts[family] + Counted::FAMILIES[family].values.len();
        family += 1;
    }
    starts
};

const SLOTS: usize = STARTS[FAMILIES];

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
        self.change(counted, 0, count as u64);
    }

    /// Adds to several numbers, for which the shard is looked up once.
    #[inline]
    pub(crate) fn add_all<const N: usize>(&self, all: [(Place, usize); N]) {
        if let Some(Shard(numbers)) = self.shard() {
            for (Place(place), count) in all {
                if let Some(number) = numbers.get(place) {
                    number.fetch_add(count as u64, Ordering::Relaxed);
                }
            }
        }
    }

    /// Adds packets and bytes that transports have accepted.
    #[inline]
    pub(crate) fn add_sent(&self, packets: usize, bytes: usize) {
        self.add_all([(SENT_PACKETS, packets), (SENT_BYTES, bytes)]);
    }

    /// Adds to the number of one value of the label.
    #[inline]
    pub(crate) fn add_for(&self, counted: Counted, value: &str, count: usize) {
        self.change(counted, index(counted, value), count as u64);
    }

    /// Subtracts one from a number.
    #[inline]
    pub(crate) fn sub(&self, counted: Counted) {
        self.change(counted, 0, 1_u64.wrapping_neg());
    }

    /// Subtracts from a number.
    pub(crate) fn sub_many(&self, counted: Counted, count: usize) {
        self.change(counted, 0, (count as u64).wrapping_neg());
    }

    /// Changes a number by the difference between two amounts.
    pub(crate) fn shift(&self, counted: Counted, before: usize, now: usize) {
        self.change(counted, 0, (now as u64).wrapping_sub(before as u64));
    }

    /// Subtracts one from the number of one value of the label.
    #[inline]
    pub(crate) fn sub_for(&self, counted: Counted, value: &str) {
        self.change(counted, index(counted, value), 1_u64.wrapping_neg());
    }

    /// Changes a number. If the family is known at compile time, so is the index of its number.
    #[inline]
    fn change(&self, counted: Counted, index: usize, by: u64) {
        let at = counted.start() + index;
        // A thread that subtracts what another one has added brings its shard below zero, but the sum is right.
        if let Some(number) = self.shard().and_then(|Shard(numbers)| numbers.get(at)) {
            number.fetch_add(by, Ordering::Relaxed);
        }
    }

    #[inline]
    fn shard(&self) -> Option<&Shard> {
        self.shards.get(thread() & (self.shards.len() - 1))
    }

    /// Returns the numbers of a family, by the values of its label.
    pub(crate) fn numbers(&self, counted: Counted) -> impl Iterator<Item = (&'static str, u64)> {
        let values = counted.family().map_or(&[][..], |family| family.values);
        let sum = move |index: usize| {
            let shards = self.shards.iter();
            let numbers = shards.filter_map(|Shard(numbers)| numbers.get(counted.start() + index));
            let sum = numbers.fold(0_u64, |sum, number| {
                sum.wrapping_add(number.load(Ordering::Relaxed))
            });
            // The shards are read one after another, so an item that ends meanwhile may be subtracted without having
            // been added.
            if sum > u64::MAX / 2 { 0 } else { sum }
        };
        values
            .iter()
            .enumerate()
            .map(move |(index, value)| (*value, sum(index)))
    }
}

/// The index of a number, known at compile time: for numbers that change with every message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(usize);

impl Place {
    /// Returns the index of a family without a label.
    pub(crate) const fn of(counted: Counted) -> Self {
        Self::nth(counted, 0)
    }

    /// Returns the index of one value of the label, by its position in the list.
    #[expect(clippy::indexing_slicing, reason = "the compiler would find out")]
    pub(crate) const fn nth(counted: Counted, index: usize) -> Self {
        assert!(index < Counted::FAMILIES[counted as usize].values.len());
        Self(STARTS[counted as usize] + index)
    }
}

const SENT_PACKETS: Place = Place::of(Counted::SentPackets);
const SENT_BYTES: Place = Place::of(Counted::SentBytes);
/// Events that are emitted to one socket.
pub(crate) const EMITS_TO_SOCKET: Place = Place::nth(Counted::Emits, 0);
/// Events that are emitted to many sockets.
pub(crate) const EMITS_TO_MANY: Place = Place::nth(Counted::Emits, 1);

/// Returns the position of a value among those of the label, or the last one if it is unknown.
fn index(counted: Counted, value: &str) -> usize {
    let values = counted.family().map_or(&[][..], |family| family.values);
    let known = values.iter().position(|known| *known == value);
    known.unwrap_or(values.len().saturating_sub(1))
}

impl Counted {
    #[inline]
    fn start(self) -> usize {
        STARTS.get(self as usize).copied().unwrap_or_default()
    }

    pub(crate) fn family(self) -> Option<&'static Family> {
        Self::FAMILIES.get(self as usize)
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
    use std::collections::BTreeMap;

    use super::super::Metrics;
    use super::*;
    use proto::DisconnectReason;

    fn read(counters: &Counters) -> Metrics {
        Metrics::collect(|counted| counters.numbers(counted), BTreeMap::new())
    }

    #[test]
    fn what_threads_add_and_take_away_is_summed() {
        let counters = Counters::new(3);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counters.add(Counted::EventsReceived, 1);
                        counters.add_for(Counted::Connections, "websocket", 2);
                    }
                });
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counters.sub_for(Counted::Connections, "websocket");
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
        counters.sub(Counted::HandlersWaiting);
        assert_eq!(read(&counters).handlers_waiting, 0);
        counters.add(Counted::HandlersWaiting, 1);
        assert_eq!(read(&counters).handlers_waiting, 0);
    }

    #[test]
    fn each_number_has_a_place_of_its_own() {
        let counters = Counters::new(1);
        for (number, counted) in [
            Counted::Upgrades,
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
    fn every_reason_has_its_number() {
        use DisconnectReason as R;

        let counters = Counters::new(1);
        for reason in [
            R::ClientNamespaceDisconnect,
            R::ServerNamespaceDisconnect,
            R::ServerShuttingDown,
            R::PingTimeout,
            R::TransportClose,
            R::TransportError,
            R::ParseError,
            R::ForcedClose,
            R::SlowClient,
            R::QueueFull,
        ] {
            counters.add_for(Counted::SocketsDisconnected, reason.as_str(), 1);
            if reason != R::ClientNamespaceDisconnect {
                counters.add_for(Counted::ConnectionsClosed, reason.as_str(), 1);
            }
        }
        counters.add_for(Counted::ConnectionsClosed, "payload too large", 1);
        let metrics = read(&counters);
        assert!(
            metrics
                .sockets_disconnected
                .values()
                .all(|&count| count == 1)
        );
        assert!(metrics.connections_closed.values().all(|&count| count == 1));
    }
}
