//! What is to be reached, and whether it is.

use std::fmt::Write;

use crate::results::Results;
use crate::server::Kind;

/// Ours, divided by the others', may be no more than this.
struct Target {
    work: &'static str,
    scenario: &'static str,
    to_socketioxide: f64,
    to_node: f64,
    /// The cheapest of these limits counts.
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

/// Two threads may cost so much more than one.
const THREADS: f64 = 1.15;

pub fn table(results: &Results) -> String {
    let mut text = String::from(
        "## Targets\n\nWhat axum-socketio costs, divided by what the other costs (medians); in brackets what it may be at most. \
         **Bold**: not reached.\n\n\
         | work | to socketioxide | to Node | to the bare limit |\n|---|---|---|---|\n",
    );
    for target in &TARGETS {
        let bare = target
            .to_bare
            .map(|(most, kinds)| (most, cheapest(results, target.scenario, kinds)));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            target.work,
            ratio(
                results,
                target.scenario,
                Some(Kind::Socketioxide),
                target.to_socketioxide
            ),
            ratio(results, target.scenario, Some(Kind::Node), target.to_node),
            bare.map_or(String::new(), |(most, kind)| ratio(
                results,
                target.scenario,
                kind,
                most
            )),
        );
    }
    text += "\n| two threads | to one thread |\n|---|---|\n";
    for scenario in ["echo-1", "echo-16", "cast-128-1000-x1"] {
        let two = results.summary(&format!("{scenario}-threads-2"), Kind::Ours);
        let one = results.summary(scenario, Kind::Ours);
        if let (Some(two), Some(one)) = (two, one) {
            let _ = writeln!(
                text,
                "| {scenario} | {} |",
                judged(two.median / one.median, THREADS)
            );
        }
    }
    text + "\n"
}

fn cheapest(results: &Results, scenario: &str, kinds: &[Kind]) -> Option<Kind> {
    let cost = |kind: &Kind| Some((results.summary(scenario, *kind)?.median, *kind));
    let cheapest = kinds
        .iter()
        .filter_map(cost)
        .min_by(|a, b| a.0.total_cmp(&b.0));
    cheapest.map(|(_, kind)| kind)
}

fn ratio(results: &Results, scenario: &str, other: Option<Kind>, most: f64) -> String {
    let ours = results.summary(scenario, Kind::Ours);
    let other = other.and_then(|other| results.summary(scenario, other));
    match (ours, other) {
        (Some(ours), Some(other)) => judged(ours.median / other.median, most),
        _ => "not measured".to_owned(),
    }
}

fn judged(ratio: f64, most: f64) -> String {
    if ratio <= most {
        format!("{ratio:.2} ({most:.2})")
    } else {
        format!("**{ratio:.2}** ({most:.2})")
    }
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
        let row = "| broadcast to 1,000, single | not measured | not measured | **1.50** (1.10) |";
        assert!(table(&results).contains(row));
    }
}
