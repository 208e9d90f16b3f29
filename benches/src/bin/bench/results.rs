//! All that was measured, and what is to be said of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::Sample;
use crate::plan::Size;
use crate::server::Kind;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// Processor, kernel, versions: name and value.
    pub machine: Vec<(String, String)>,
    pub rounds: usize,
    pub quick: bool,
    /// Requests a second, in the saturation scenario.
    pub saturating: Option<f64>,
    /// By scenario, then by server, one of each round.
    pub samples: BTreeMap<String, BTreeMap<String, Vec<Sample>>>,
    /// What did not work.
    pub failures: Vec<String>,
}

/// The middle of several numbers, and their range.
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
}
