//! Rate limits.

use std::time::{Duration, Instant};

/// A rate: `amount` at once, and again in each period.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) amount: f64,
    pub(crate) per: Duration,
}

/// The time at which all that has arrived would have arrived at the rate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace(Option<Instant>);

impl Pace {
    /// Returns the pace after `amount` more; `None` if that exceeds the rate.
    pub(crate) fn with(self, amount: f64, rate: Rate, now: Instant) -> Option<Self> {
        let ahead = self
            .0
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let cost =
            Duration::try_from_secs_f64(rate.per.as_secs_f64() * amount / rate.amount).ok()?;
        let ahead = ahead.checked_add(cost)?;
        // The tolerance covers rounding in a sum of fractions.
        let most = rate.per + Duration::from_nanos(1000);
        (ahead <= most).then(|| Self(now.checked_add(ahead)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn t0() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let rate = Rate {
            amount: 10.0,
            per: SECOND,
        };
        let (mut pace, mut now) = (Pace::default(), t0());
        let mut taken = |now: Instant| {
            let mut count = 0;
            while let Some(next) = pace.with(1.0, rate, now) {
                pace = next;
                count += 1;
            }
            count
        };
        assert_eq!(taken(now), 10);
        now += SECOND / 2;
        assert_eq!(taken(now), 5);
        now += 60 * SECOND;
        assert_eq!(taken(now), 10, "what was not used is not saved up");
    }

    #[test]
    fn a_cost_above_the_rate_is_never_allowed() {
        let rate = Rate {
            amount: 10.0,
            per: SECOND,
        };
        assert!(Pace::default().with(11.0, rate, t0()).is_none());
        let nothing = Rate {
            amount: 0.0,
            per: SECOND,
        };
        assert!(Pace::default().with(1.0, nothing, t0()).is_none());
    }
}
