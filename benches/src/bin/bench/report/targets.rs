//! The targets, and a comparison of the results with them.

use std::fmt::{self, Write};

use crate::results::Results;
use crate::server::Kind;

/// A target: the maximum ratio of our cost to that of each other server.
struct Target {
    work: &'static str,
    scenario: &'static str,
    to_socketioxide: f64,
    to_node: f64,
    /// The ratio to the cheapest of these lower limits.
    to_bare: Option<(f64, &'static [Kind])>,
}

const QUEUE: &[Kind] = &[Kind::BareQueue];
const CASTS: &[Kind] = &[Kind::BareQueue, Kind::BareDirect];
const AXUM: &[Kind] = &[Kind::BareAxum];
const HYPER: &[Kind] = &[Kind::BareHyper];

const fn target(
    work: &'static str,
    scenario: &'static str,
    to_socketioxide: f64,
    to_node: f64,
    to_bare: Option<(f64, &'static [Kind])>,
) -> Target {
    Target {
        work,
        scenario,
        to_socketioxide,
        to_node,
        to_bare,
    }
}

const TARGETS: [Target; 16] = [
    target(
        "echo, 1 in flight",
        "echo-1",
        0.60,
        0.28,
        Some((1.20, QUEUE)),
    ),
    target("acknowledgement", "ack-1", 0.60, 0.28, Some((1.20, QUEUE))),
    target(
        "echo, 16 in flight",
        "echo-16",
        0.25,
        0.08,
        Some((2.5, QUEUE)),
    ),
    target(
        "broadcast to 1,000, single",
        "cast-128-1000-x1",
        0.70,
        0.45,
        Some((1.10, CASTS)),
    ),
    target(
        "broadcast to 1,000, burst of ten",
        "cast-128-1000-x10",
        0.55,
        0.12,
        Some((1.15, CASTS)),
    ),
    target("echo of 16 KiB", "echo-16k", 0.65, 0.20, Some((1.5, QUEUE))),
    target(
        "binary of 1 KiB",
        "binary-1k",
        0.65,
        0.20,
        Some((1.5, QUEUE)),
    ),
    target(
        "binary of 64 KiB",
        "binary-64k",
        0.65,
        0.20,
        Some((1.5, QUEUE)),
    ),
    target("JSON of 64 KiB, typed", "json-64k", 0.50, 0.50, None),
    target(
        "handshake and connect, WebSocket at once",
        "handshake-websocket",
        0.50,
        0.12,
        None,
    ),
    target(
        "handshake and connect, polling then upgrade",
        "handshake-upgrade",
        0.50,
        0.12,
        None,
    ),
    target(
        "long-polling echo",
        "polling-echo",
        0.95,
        0.30,
        Some((1.10, HYPER)),
    ),
    target(
        "memory, fresh",
        "memory-fresh",
        0.20,
        0.35,
        Some((0.60, AXUM)),
    ),
    target(
        "memory, after 16 KiB",
        "memory-used",
        0.20,
        0.35,
        Some((0.60, AXUM)),
    ),
    target(
        "memory, second wave",
        "memory-second",
        0.20,
        0.35,
        Some((0.60, AXUM)),
    ),
    target(
        "p99 latency at the load that saturates socketioxide",
        "saturation",
        0.35,
        0.15,
        None,
    ),
];

/// The scenario of handshakes, which has a lower limit but no target.
const HANDSHAKE: &str = "handshake-websocket";

/// The maximum ratio of the cost with two threads to that with one.
const TWO_THREADS: f64 = 1.15;

const THREADS: [(&str, &str); 3] = [
    ("echo, 1 in flight", "echo-1"),
    ("echo, 16 in flight", "echo-16"),
    ("broadcast to 1,000, single", "cast-128-1000-x1"),
];

/// The ratio of our cost to another's, and its maximum.
#[derive(Clone, Copy)]
struct Ratio {
    value: f64,
    most: f64,
}

impl Ratio {
    fn of(results: &Results, scenario: &str, other: Kind, most: f64) -> Option<Self> {
        let value = results.ratio((scenario, Kind::Ours), (scenario, other))?;
        Some(Self { value, most })
    }

    fn reached(self) -> bool {
        self.value <= self.most
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, most } = self;
        if self.reached() {
            write!(f, "{value:.2} ({most:.2})")
        } else {
            write!(f, "**{value:.2}** ({most:.2})")
        }
    }
}

impl Target {
    /// Returns the ratios to socketioxide, to Node and to the lower limit, if they have been measured.
    fn ratios(&self, results: &Results) -> [Option<Ratio>; 3] {
        let to = |kind, most| Ratio::of(results, self.scenario, kind, most);
        let to_bare = self.to_bare.and_then(|(most, kinds)| {
            let ratios = kinds.iter().filter_map(|&kind| to(kind, most));
            ratios.max_by(|a, b| a.value.total_cmp(&b.value))
        });
        [
            to(Kind::Socketioxide, self.to_socketioxide),
            to(Kind::Node, self.to_node),
            to_bare,
        ]
    }
}

impl Target {
    /// Returns the ratios of the cheapest lower limit itself to socketioxide and to Node, which no server can undercut.
    fn of_bare(&self, results: &Results) -> [Option<Ratio>; 2] {
        let kinds = match self.to_bare {
            Some((_, kinds)) => kinds,
            None if self.scenario == HANDSHAKE => AXUM,
            None => &[],
        };
        let least = |other, most| {
            let ratios = kinds.iter().filter_map(|&kind| {
                let value = results.ratio((self.scenario, kind), (self.scenario, other))?;
                Some(Ratio { value, most })
            });
            ratios.min_by(|a, b| a.value.total_cmp(&b.value))
        };
        [
            least(Kind::Socketioxide, self.to_socketioxide),
            least(Kind::Node, self.to_node),
        ]
    }
}

pub fn table(results: &Results) -> String {
    let rows = TARGETS
        .each_ref()
        .map(|target| (target, target.ratios(results)));
    let threads = THREADS.map(|(work, scenario)| (work, to_one_thread(results, scenario)));
    let all: Vec<_> = rows
        .iter()
        .flat_map(|(_, ratios)| ratios)
        .chain(threads.iter().map(|(_, ratio)| ratio))
        .flatten()
        .collect();
    let reached = all.iter().filter(|ratio| ratio.reached()).count();
    let mut text = format!(
        "## Targets\n\nWhat axum-socketio costs, divided by what the other costs: medians of the ratios of neighbours in time; in brackets what it may be at most. \
         **Bold**: not reached. {reached} of {} are reached.\n\n\
         | work | to socketioxide | to Node | to the bare limit |\n|---|---|---|---|\n",
        all.len()
    );
    for (target, ratios) in rows {
        let [socketioxide, node, bare] = ratios.map(shown);
        let _ = writeln!(
            text,
            "| {} | {socketioxide} | {node} | {bare} |",
            target.work
        );
    }
    text += "\nThe same of the bare limit: what does no more than to read and write bytes, or hyper's part of it. Where that is **bold**, \
             the target cannot be reached by any server that uses the same kernel and runtime.\n\n\
             | work | bare limit to socketioxide | to Node |\n|---|---|---|\n";
    for target in &TARGETS {
        let ratios = target.of_bare(results);
        if ratios.iter().any(Option::is_some) {
            let [socketioxide, node] = ratios.map(shown);
            let _ = writeln!(text, "| {} | {socketioxide} | {node} |", target.work);
        }
    }
    text +=
        "\n| two threads, share two processors with the generator | to one thread |\n|---|---|\n";
    for (work, ratio) in threads {
        let _ = writeln!(text, "| {work} | {} |", shown(ratio));
    }
    text + "\n"
}

fn to_one_thread(results: &Results, scenario: &str) -> Option<Ratio> {
    let [one, two] = [1, 2].map(|threads| format!("{scenario}-threads-{threads}"));
    let value = results.ratio((&two, Kind::Ours), (&one, Kind::Ours))?;
    Some(Ratio {
        value,
        most: TWO_THREADS,
    })
}

fn shown(ratio: Option<Ratio>) -> String {
    ratio.map_or(String::new(), |ratio| ratio.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Sample;

    #[test]
    fn the_cheapest_limit_counts() {
        let mut results = Results::default();
        for (kind, value) in [
            (Kind::Ours, 3.0),
            (Kind::BareQueue, 4.0),
            (Kind::BareDirect, 2.0),
        ] {
            let sample = Sample {
                value,
                ..Sample::default()
            };
            results.add("cast-128-1000-x1", kind, sample);
        }
        let row = "| broadcast to 1,000, single |  |  | **1.50** (1.10) |";
        assert!(table(&results).contains(row));
        let sample = Sample {
            value: 8.0,
            ..Sample::default()
        };
        results.add("cast-128-1000-x1", Kind::Node, sample);
        let row = "| broadcast to 1,000, single |  | 0.25 (0.45) |";
        assert!(table(&results).contains(row));
    }
}
