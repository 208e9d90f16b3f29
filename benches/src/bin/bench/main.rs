//! Runs the scenarios against the servers and writes down their costs. It is started by `benches/run`.

mod check;
mod connect;
mod machine;
mod measure;
mod net;
mod options;
mod plan;
mod report;
mod results;
mod runner;
mod scenario;
mod server;

use std::io;
use std::process::ExitCode;

use machine::Others;
use measure::{Sample, raise_open_files};
use options::Options;
use plan::{Group, Scenario, scenarios};
use results::Results;
use runner::Runner;
use server::{Kind, Programs};

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let all = scenarios(options.size());
    if options.list {
        for scenario in &all {
            println!("{:28} {}", scenario.id, scenario.title);
        }
        for kind in Kind::ALL {
            println!("{}", kind.name());
        }
        return Ok(());
    }
    let results = if options.report {
        report::read(&options.out)?
    } else {
        measure_all(options, &all)?
    };
    report::write(&results, &options.out)
}

fn measure_all(options: &Options, all: &[Scenario]) -> io::Result<Results> {
    let files = raise_open_files()?;
    if files < options.size().crowd as u64 + 100 {
        return Err(io::Error::other(format!(
            "{files} open files are too few; see ulimit -n"
        )));
    }
    let programs = Programs {
        built: std::env::current_exe()?
            .parent()
            .map(Into::into)
            .unwrap_or_default(),
        node: options.node.clone(),
    };
    let mut kinds = options.servers.clone();
    kinds.retain(|&kind| {
        let have = programs.have(kind);
        if !have {
            eprintln!("{} is not installed: left out", kind.name());
        }
        have
    });
    let mut results = Results {
        machine: machine::describe(&programs),
        rounds: options.rounds,
        quick: options.quick,
        ..Results::default()
    };
    let others = Others::start()?;
    let mut runner = Runner {
        programs,
        cpus: options.cpus,
        times: options.times(),
        size: options.size(),
        turns: options.turns(),
        saturating: None,
    };
    for &kind in &kinds {
        runner.check(kind)?;
    }
    for round in 1..=options.rounds {
        for group in Group::ALL {
            let wanted: Vec<_> = all
                .iter()
                .filter(|scenario| scenario.what.group() == group)
                .filter(|scenario| options.wants(&scenario.id))
                .collect();
            measure(&mut runner, &mut results, round, &kinds, &wanted);
        }
        results.saturating = runner.saturating;
    }
    results.machine.extend(others.describe()?);
    Ok(results)
}

/// Measures scenarios of one group. Failures are reported, and the others continue.
fn measure(
    runner: &mut Runner,
    results: &mut Results,
    round: usize,
    kinds: &[Kind],
    scenarios: &[&Scenario],
) {
    let rounds = results.rounds;
    let mut report = |scenario: &Scenario, kind: Kind, sample: io::Result<Sample>| {
        let (id, unit, name) = (&scenario.id, scenario.what.unit(), kind.name());
        match sample {
            Ok(sample) => {
                let value = sample.value;
                eprintln!("{round}/{rounds} {id:28} {name:14} {value:9.3} {unit}");
                results.add(id, kind, sample);
            }
            Err(error) => {
                let failure = format!("round {round}, {id} of {name}: {error}");
                eprintln!("{failure}");
                results.failures.push(failure);
            }
        }
    };
    if let Err(error) = runner.run(kinds, scenarios, &mut report) {
        let failure = format!("round {round}: {error}");
        eprintln!("{failure}");
        results.failures.push(failure);
    }
}
