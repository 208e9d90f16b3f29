//! Runs the scenarios against the servers and writes down what they cost. Started by `benches/run`.

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
use measure::raise_open_files;
use options::Options;
use plan::{Group, Scenario, scenarios};
use results::Results;
use runner::Runner;
use server::{Kind, Programs};

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<()> {
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
        measure_all(&options, &all)?
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
        saturating: None,
    };
    for round in 1..=options.rounds {
        for group in Group::ALL {
            for &kind in &kinds {
                let wanted: Vec<_> = all
                    .iter()
                    .filter(|scenario| {
                        scenario.what.group() == group
                            && scenario.what.fits(kind)
                            && options.wants(&scenario.id)
                    })
                    .collect();
                if wanted.is_empty() {
                    continue;
                }
                let mut failures = Vec::new();
                let outcome =
                    runner.run(kind, group, &wanted, &mut |scenario, sample| match sample {
                        Ok(sample) => {
                            eprintln!(
                                "{round}/{} {:28} {:14} {:9.3} {}",
                                options.rounds,
                                scenario.id,
                                kind.name(),
                                sample.value,
                                scenario.what.unit()
                            );
                            results.add(&scenario.id, kind, sample);
                        }
                        Err(error) => {
                            failures.push(format!("{} {}: {error}", scenario.id, kind.name()))
                        }
                    });
                if let Err(error) = outcome {
                    failures.push(format!("{group:?} {}: {error}", kind.name()));
                }
                for failure in failures {
                    eprintln!("{round}/{} {failure}", options.rounds);
                    results.failures.push(failure);
                }
            }
        }
        results.saturating = runner.saturating;
    }
    results.machine.extend(others.describe()?);
    Ok(results)
}
