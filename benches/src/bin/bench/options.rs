//! The command line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::measure::Cpus;
use crate::plan::Size;
use crate::scenario::Times;
use crate::server::Kind;

pub const HELP: &str = "\
usage: benches/run [options]
  --quick            a thousand clients instead of ten thousand, short measurements, one round
  --rounds N         how often everything is measured, each time in three turns (2)
  --only A,B         scenarios whose names begin so (echo, cast-128-1000, memory)
  --servers A,B      servers (axum-socketio, socketioxide, node, bun, bare-queue, ...)
  --list             the names of both
  --report           writes the documents from the last results, measures nothing
  --out DIR          where they go (docs)
  --server-cpu N     the processor of the server (0)
  --generator-cpu N  the processor of the generator (1)";

#[derive(Clone, Debug)]
pub struct Options {
    pub rounds: usize,
    pub quick: bool,
    pub only: Vec<String>,
    pub servers: Vec<Kind>,
    pub list: bool,
    pub report: bool,
    /// The folder of the JavaScript servers.
    pub node: PathBuf,
    pub out: PathBuf,
    pub cpus: Cpus,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut rounds = None;
        let mut options = Self {
            rounds: 3,
            quick: false,
            only: Vec::new(),
            servers: Kind::ALL.to_vec(),
            list: false,
            report: false,
            node: PathBuf::from("node"),
            out: PathBuf::from("docs"),
            cpus: Cpus {
                server: 0,
                generator: 1,
            },
        };
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next()
                    .ok_or_else(|| wrong(&format!("{arg} needs a value")))
            };
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--list" => options.list = true,
                "--report" => options.report = true,
                "--rounds" => rounds = Some(number(&value()?)?),
                "--only" => options.only = list(&value()?),
                "--servers" => options.servers = servers(&value()?)?,
                "--node" => options.node = value()?.into(),
                "--out" => options.out = value()?.into(),
                "--server-cpu" => options.cpus.server = number(&value()?)?,
                "--generator-cpu" => options.cpus.generator = number(&value()?)?,
                other => return Err(wrong(&format!("unknown option {other}"))),
            }
        }
        options.rounds = rounds.unwrap_or(if options.quick { 1 } else { 2 }).max(1);
        Ok(options)
    }

    pub fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|start| scenario.starts_with(start))
    }

    pub const fn size(&self) -> Size {
        if self.quick { Size::QUICK } else { Size::FULL }
    }

    pub const fn times(&self) -> Times {
        if self.quick {
            Times {
                warm_up: Duration::from_millis(100),
                measure: Duration::from_millis(200),
            }
        } else {
            Times {
                warm_up: Duration::from_millis(150),
                measure: Duration::from_millis(350),
            }
        }
    }

    /// Returns the number of turns that each server has at a scenario in a round.
    pub const fn turns(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }
}

fn list(names: &str) -> Vec<String> {
    names.split(',').map(str::to_owned).collect()
}

fn servers(names: &str) -> io::Result<Vec<Kind>> {
    let kind =
        |name: &str| Kind::from_name(name).ok_or_else(|| wrong(&format!("unknown server {name}")));
    names.split(',').map(kind).collect()
}

fn number(text: &str) -> io::Result<usize> {
    text.parse()
        .map_err(|_| wrong(&format!("{text} is not a number")))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{what}\n{HELP}"))
}
