//! The results of all measurements, and their statistics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::Sample;
use crate::plan::Size;
use crate::server::Kind;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// The processor, the kernel and the versions, as names and values.
    pub machine: Vec<(String, String)>,
    pub rounds: usize,
    pub quick: bool,
    /// The number of requests per second in the saturation scenario.
    pub saturating: Option<f64>,
    /// The samples by scenario, then by server, in the order of their turns.
    pub samples: BTreeMap<String, BTreeMap<String, Vec<Sample>>>,
    /// The errors of the scenarios that failed.
    pub failures: Vec<String>,
}

/// The median of several numbers, and their range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let upper = values.get(values.len() / 2)?;
        let lower = values.get((values.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(*lower, *upper),
            min,
            max,
        })
    }
}

impl Results {
    pub const fn size(&self) -> Size {
        if self.quick { Size::QUICK } else { Size::FULL }
    }

    pub fn add(&mut self, scenario: &str, kind: Kind, sample: Sample) {
        let servers = self.samples.entry(scenario.to_owned()).or_default();
        servers
            .entry(kind.name().to_owned())
            .or_default()
            .push(sample);
    }

    pub fn samples(&self, scenario: &str, kind: Kind) -> &[Sample] {
        self.samples
            .get(scenario)
            .and_then(|servers| servers.get(kind.name()))
            .map_or(&[], Vec::as_slice)
    }

    pub fn summary(&self, scenario: &str, kind: Kind) -> Option<Summary> {
        self.summary_of(scenario, kind, |sample| Some(sample.value))
    }

    /// Returns the ratio of our value to the other's: the median of the ratios of samples that were taken in
    /// succession, because the speed of a machine varies.
    pub fn ratio(&self, ours: (&str, Kind), other: (&str, Kind)) -> Option<f64> {
        let (ours, other) = (self.samples(ours.0, ours.1), self.samples(other.0, other.1));
        if ours.len() == other.len() {
            let pairs = ours.iter().zip(other);
            return Summary::of(pairs.map(|(ours, other)| ours.value / other.value))
                .map(|summary| summary.median);
        }
        // Some samples are missing after a failure, so they cannot be paired.
        let median =
            |samples: &[Sample]| Some(Summary::of(samples.iter().map(|s| s.value))?.median);
        Some(median(ours)? / median(other)?)
    }

    pub fn summary_of(
        &self,
        scenario: &str,
        kind: Kind,
        of: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<Summary> {
        Summary::of(self.samples(scenario, kind).iter().filter_map(of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let summary = Summary::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((summary.min, summary.median, summary.max), (1.0, 2.5, 4.0));
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn neighbours_in_time_are_compared() {
        let mut results = Results::default();
        for (kind, values) in [
            (Kind::Ours, [1.0, 10.0, 3.0]),
            (Kind::Node, [2.0, 20.0, 5.0]),
        ] {
            for value in values {
                let sample = Sample {
                    value,
                    ..Sample::default()
                };
                results.add("echo-1", kind, sample);
            }
        }
        let ratio = results.ratio(("echo-1", Kind::Ours), ("echo-1", Kind::Node));
        assert_eq!(ratio, Some(0.5));
    }
}
