//! A limit of the records that the log has about one fault.

use std::time::Duration;

use tokio::time::Instant;

/// The least time between two records.
const INTERVAL: Duration = Duration::from_secs(1);

/// The pause between two records about one fault, and the number of its occurrences in it.
#[derive(Debug, Default)]
pub(crate) struct LogPause {
    logged: Option<Instant>,
    count: usize,
}

impl LogPause {
    /// Adds occurrences. Returns the number of those that have no record yet if it is time for one.
    pub(crate) fn add(&mut self, count: usize, now: Instant) -> Option<usize> {
        self.count = self.count.saturating_add(count);
        let is_early = |logged| now.duration_since(logged) < INTERVAL;
        if self.logged.is_some_and(is_early) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_record_in_a_second_with_the_number_of_all() {
        let mut pause = LogPause::default();
        let now = Instant::now();
        assert_eq!(pause.add(2, now), Some(2));
        assert_eq!((pause.add(1, now), pause.add(3, now)), (None, None));
        assert_eq!(pause.add(1, now + INTERVAL), Some(5));
    }
}
