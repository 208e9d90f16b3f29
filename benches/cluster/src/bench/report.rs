//! The results, and the tables that are written from them into `docs/benchmarks.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::scenario::Sample;
use crate::server::Kind;

const BEGIN: &str = "<!-- cluster figures begin: written by benches/cluster/run -->";
const END: &str = "<!-- cluster figures end -->";

/// The sizes of the broadcasts to another server: members and events at once.
pub const REMOTE: [(u64, u64); 4] = [(1, 1), (1, 10), (100, 10), (1000, 1)];

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub rounds: usize,
    /// The samples by scenario, engine and server, in the order of the rounds.
    pub samples: BTreeMap<String, BTreeMap<Engine, BTreeMap<Kind, Vec<Sample>>>>,
    /// The fractions of messages that no member of the server needed.
    pub needless: BTreeMap<Engine, BTreeMap<Kind, f64>>,
    pub failures: Vec<String>,
}

impl Results {
    pub fn add(&mut self, scenario: &str, engine: Engine, kind: Kind, sample: Sample) {
        let engines = self.samples.entry(scenario.to_owned()).or_default();
        let kinds = engines.entry(engine).or_default();
        kinds.entry(kind).or_default().push(sample);
    }

    fn median(
        &self,
        scenario: &str,
        engine: Engine,
        kind: Kind,
        of: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        let samples = self.samples.get(scenario)?.get(&engine)?.get(&kind)?;
        let mut values: Vec<f64> = samples.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    fn value(&self, scenario: &str, engine: Engine, kind: Kind) -> Option<f64> {
        self.median(scenario, engine, kind, |sample| Some(sample.value))
    }

    /// Writes the results and the tables into the folder of the documents.
    pub fn write(&self, docs: &Path) -> io::Result<()> {
        let results = serde_json::to_string_pretty(self)? + "\n";
        fs::write(docs.join("benchmarks/cluster.json"), results)?;
        let page = docs.join("benchmarks.md");
        let old = fs::read_to_string(&page)?;
        let parts = old
            .split_once(BEGIN)
            .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) =
            parts.ok_or_else(|| io::Error::other("the page has no place for figures"))?;
        fs::write(
            page,
            format!(
                "{before}{BEGIN}\n\n{}\n{END}{after}",
                self.tables().trim_end()
            ),
        )
    }

    fn tables(&self) -> String {
        let mut text = format!("Rounds: {}; each figure is a median.\n", self.rounds);
        text += &self.remote();
        text += &self.needless();
        text += &self.here();
        if !self.failures.is_empty() {
            text += "\nWhat did not work:\n\n";
            for failure in &self.failures {
                text += &format!("- {failure}\n");
            }
        }
        text
    }

    /// Compares the processor time of both servers for each delivery.
    fn remote(&self) -> String {
        let mut text = "\n### Deliveries by another server\n\n\
            Processor time in µs for each delivery, of both servers together and, in brackets, of the one that receives.\n\n\
            | engine | members, events at once | axum-socketio | socketioxide | Node | to socketioxide | to Node |\n\
            |---|---|---:|---:|---:|---:|---:|\n"
            .to_owned();
        for engine in Engine::ALL {
            for (members, burst) in REMOTE {
                let scenario = remote_name(members, burst);
                let cell = |kind| {
                    let value = self.value(&scenario, engine, kind)?;
                    let receiver =
                        self.median(&scenario, engine, kind, |sample| sample.receiver)?;
                    Some(format!("{value:.2} ({receiver:.2})"))
                };
                let ratio = |kind| {
                    let ours = self.value(&scenario, engine, Kind::Ours)?;
                    Some(format!(
                        "{:.2}",
                        ours / self.value(&scenario, engine, kind)?
                    ))
                };
                if self.value(&scenario, engine, Kind::Ours).is_none() {
                    continue;
                }
                let cells = [
                    cell(Kind::Ours),
                    cell(Kind::Socketioxide),
                    cell(Kind::Node),
                    ratio(Kind::Socketioxide),
                    ratio(Kind::Node),
                ];
                let cells = cells.map(Option::unwrap_or_default).join(" | ");
                text += &format!("| {} | {members}, {burst} | {cells} |\n", engine.title());
            }
        }
        text
    }

    fn needless(&self) -> String {
        let mut text = "\n### Messages that nobody needs\n\n\
            Four servers; each of 100 rooms has a member on one of them; each server emits to each room. Messages that \
            reach a server without a member of their room, of all messages that reach a server.\n\n\
            | engine | axum-socketio | socketioxide | Node |\n|---|---:|---:|---:|\n"
            .to_owned();
        for (engine, kinds) in &self.needless {
            let cells = Kind::ALL.map(|kind| {
                let fraction = kinds.get(&kind);
                fraction.map_or_else(String::new, |fraction| format!("{:.1} %", fraction * 100.0))
            });
            text += &format!("| {} | {} |\n", engine.title(), cells.join(" | "));
        }
        text
    }

    /// Compares a server in a cluster with one that is not.
    fn here(&self) -> String {
        let mut text = "\n### What a cluster costs on one server\n\n\
            Processor time in µs: of a delivery with `.local()` and of a broadcast, each to 1,000 members of the same \
            server, and of the publication of an event to a room that is empty everywhere, alone and one of a hundred. \
            In brackets: to the server without a cluster, or writes to the engine for each event.\n\n\
            | engine | `.local()` | broadcast | published alone | one of a hundred |\n|---|---:|---:|---:|---:|\n"
            .to_owned();
        for engine in [Engine::None].into_iter().chain(Engine::ALL) {
            let ratio = |scenario: &str| {
                let value = self.value(scenario, engine, Kind::Ours)?;
                let alone = self.value(scenario, Engine::None, Kind::Ours)?;
                Some(format!("{value:.3} ({:.2})", value / alone))
            };
            let published = |scenario: &str| {
                let value = self.value(scenario, engine, Kind::Ours)?;
                let writes = self.median(scenario, engine, Kind::Ours, |sample| sample.writes)?;
                Some(format!("{value:.1} ({writes:.2})"))
            };
            let cells = [
                ratio("local"),
                ratio("here"),
                published("publish-1"),
                published("publish-100"),
            ];
            if cells.iter().all(Option::is_none) {
                continue;
            }
            let cells = cells.map(Option::unwrap_or_default).join(" | ");
            text += &format!("| {} | {cells} |\n", engine.title());
        }
        text
    }
}

pub fn remote_name(members: u64, burst: u64) -> String {
    format!("remote-{members}-x{burst}")
}
