//! A histogram of latencies with a precision of 1.6 % and a constant size.

use std::time::Duration;

/// The number of steps in each power of two.
const STEPS: u64 = 64;

/// The counts of latencies in nanoseconds: exact below [`STEPS`], then 64 steps for each power of two.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; slot(u64::MAX) + 1],
            total: 0,
        }
    }
}

impl Histogram {
    pub fn add(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(slot(nanos)) {
            *count += 1;
        }
        self.total += 1;
    }

    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// Returns the latency in microseconds that the given fraction (0 to 1) of all latencies do not exceed.
    pub fn percentile(&self, part: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let wanted = (self.total as f64 * part).ceil().max(1.0) as u64;
        let mut so_far = 0;
        let slot = self.counts.iter().position(|count| {
            so_far += count;
            so_far >= wanted
        })?;
        Some(upper(slot as u64) as f64 / 1000.0)
    }
}

fn slot(nanos: u64) -> usize {
    let power = nanos.max(1).ilog2().saturating_sub(STEPS.ilog2());
    (u64::from(power) * STEPS + (nanos >> power)) as usize
}

/// Returns the largest value in a slot.
fn upper(slot: u64) -> u64 {
    if slot < 2 * STEPS {
        return slot;
    }
    let power = slot / STEPS - 1;
    ((slot - power * STEPS + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_what_is_near() {
        for nanos in [0, 1, 63, 64, 127, 128, 1000, 123_456, 7_000_000_000] {
            let upper = upper(slot(nanos) as u64);
            assert!(
                upper >= nanos && upper <= nanos + nanos / 64,
                "{nanos}: {upper}"
            );
        }
    }

    #[test]
    fn percentiles_are_of_what_was_added() {
        let mut histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros));
        }
        let p99 = histogram.percentile(0.99).unwrap();
        assert!((990.0..1006.0).contains(&p99), "{p99}");
        assert_eq!(Histogram::default().percentile(0.5), None);
    }
}
