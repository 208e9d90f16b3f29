//! Tables of absolute figures.

use std::fmt::Write;

use crate::measure::Sample;
use crate::plan::{Group, Scenario};
use crate::results::{Results, Summary};
use crate::server::Kind;

pub fn machine(results: &Results) -> String {
    let mut text = String::from("## Machine\n\n| | |\n|---|---|\n");
    for (name, value) in &results.machine {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    if results.quick {
        text += "\n**A quick run: short measurements and few clients. Good to see that all works, not to compare.**\n";
    }
    text + "\n"
}

/// Returns the medians of all scenarios, with one table for each group.
pub fn costs(results: &Results, all: &[Scenario]) -> String {
    let mut text = String::from(
        "## Costs\n\nMedians; in brackets the smallest and the largest of all rounds.\n\n",
    );
    for group in Group::ALL {
        let scenarios: Vec<_> = all
            .iter()
            .filter(|scenario| scenario.what.group() == group)
            .collect();
        let unit = scenarios
            .first()
            .map_or("", |scenario| scenario.what.unit());
        text += &table(results, unit, &scenarios, |results, scenario, kind| {
            Some(spread(results.summary(&scenario.id, kind)?))
        });
    }
    text
}

pub fn latencies(results: &Results, all: &[Scenario]) -> String {
    let scenarios: Vec<_> = all
        .iter()
        .filter(|scenario| {
            matches!(
                scenario.what.group(),
                Group::Exchanges
                    | Group::Polling
                    | Group::Crowd
                    | Group::Nagle
                    | Group::Saturation
                    | Group::Hostile
            )
        })
        .collect();
    let mut text = String::from(
        "## Latencies\n\nMicroseconds, 50 / 99 / 99.9 of a hundred, medians of the rounds. Every client sends again as soon as \
         it has its answer, so these tell how long a queue is at full load; only saturation is at a given load, and beside \
         hostile neighbours there is a single client with one request in flight and a pause of 1 ms. Of \
         broadcasts it is the time until the last member has all.\n\n",
    );
    if let Some(rate) = results.saturating {
        let _ = write!(
            text,
            "The load that saturates socketioxide: {rate:.0} messages a second.\n\n"
        );
    }
    text += &table(results, "µs", &scenarios, |results, scenario, kind| {
        let part = |of: fn(&Sample) -> Option<f64>| {
            Some(digits(results.summary_of(&scenario.id, kind, of)?.median))
        };
        let (p50, p99, p999) = (part(|s| s.p50)?, part(|s| s.p99)?, part(|s| s.p999)?);
        Some(format!("{p50} / {p99} / {p999}"))
    });
    text
}

/// Returns the throughput, which also depends on the generator.
pub fn rates(results: &Results, all: &[Scenario]) -> String {
    let scenarios: Vec<_> = all
        .iter()
        .filter(|scenario| {
            !matches!(
                scenario.what.group(),
                Group::Memory | Group::Saturation | Group::Hostile
            )
        })
        .collect();
    let text = table(
        results,
        "a second",
        &scenarios,
        |results, scenario, kind| {
            let rate = results.summary_of(&scenario.id, kind, |sample| Some(sample.rate))?;
            Some(format!("{:.0}", rate.median))
        },
    );
    format!(
        "## Throughput\n\nMessages, deliveries or handshakes a second, medians of the rounds.\n\n{text}"
    )
}

/// Returns the load of the generator, which shows if it is the bottleneck.
pub fn generator(results: &Results) -> String {
    let mut text = String::from(
        "## The generator\n\nMicroseconds for each message, and in brackets the part of the time that each of the two computed. \
         The generator is the bottleneck where its part is near 100 % and the server's is not: throughput and latency say \
         little there, the server's time for a message still does.\n\n\
         | work | server | server's µs | generator's µs | messages a second |\n|---|---|---|---|---|\n",
    );
    for scenario in [
        "echo-1",
        "echo-16",
        "echo-16k",
        "cast-128-1000-x1",
        "cast-128-1000-x10",
        "polling-echo",
    ] {
        for kind in Kind::ALL {
            let middle = |of: fn(&Sample) -> f64| {
                Some(
                    results
                        .summary_of(scenario, kind, |sample| Some(of(sample)))?
                        .median,
                )
            };
            let all = (
                middle(|s| s.value),
                middle(|s| s.server_load),
                middle(|s| s.generator),
                middle(|s| s.generator_load),
                middle(|s| s.rate),
            );
            if let (Some(server), Some(load), Some(generator), Some(own), Some(rate)) = all {
                let _ = writeln!(
                    text,
                    "| {scenario} | {} | {} ({:.0} %) | {} ({:.0} %) | {rate:.0} |",
                    kind.name(),
                    digits(server),
                    load * 100.0,
                    digits(generator),
                    own * 100.0
                );
            }
        }
    }
    text + "\n"
}

pub fn failures(results: &Results) -> String {
    if results.failures.is_empty() {
        return String::new();
    }
    let mut text = String::from("## What did not work\n\n");
    for failure in &results.failures {
        let _ = writeln!(text, "- {failure}");
    }
    text
}

fn table(
    results: &Results,
    unit: &str,
    scenarios: &[&Scenario],
    cell: impl Fn(&Results, &Scenario, Kind) -> Option<String>,
) -> String {
    let measured = |kind: &Kind| {
        scenarios
            .iter()
            .any(|scenario| cell(results, scenario, *kind).is_some())
    };
    let kinds: Vec<_> = Kind::ALL.into_iter().filter(measured).collect();
    if kinds.is_empty() {
        return String::new();
    }
    let mut text = format!("| {unit} |");
    for kind in &kinds {
        let _ = write!(text, " {} |", kind.name());
    }
    text += "\n|---|";
    text += &"---|".repeat(kinds.len());
    text += "\n";
    for scenario in scenarios {
        let cells: Vec<_> = kinds
            .iter()
            .map(|&kind| cell(results, scenario, kind))
            .collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(text, "| {} |", scenario.title);
        for cell in cells {
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        text += "\n";
    }
    text + "\n"
}

fn spread(summary: Summary) -> String {
    let Summary { median, min, max } = summary;
    if min < max {
        format!("{} ({} to {})", digits(median), digits(min), digits(max))
    } else {
        digits(median)
    }
}

/// Formats a number with three significant digits.
pub(super) fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        small if small >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let shown = [1234.5, 99.96, 12.345, 9.996, 1.2345, 0.12345].map(digits);
        assert_eq!(shown, ["1234", "100", "12.3", "10.0", "1.23", "0.123"]);
    }
}
