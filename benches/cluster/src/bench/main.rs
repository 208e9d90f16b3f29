//! Compares what servers that share an engine cost. See benches/README.md.

mod client;
mod engine;
mod relay;
mod report;
mod scenario;
mod server;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum_socketio_benches::process::{Cpus, raise_open_files};

use engine::Engine;
use report::{REMOTE, Results, remote_name};
use scenario::Cluster;
use server::{Kind, Programs};

struct Options {
    programs: Programs,
    docs: Option<PathBuf>,
    rounds: usize,
    time: Duration,
    engines: Vec<Engine>,
}

impl Options {
    fn from_args() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let mut options = Self {
            programs: Programs {
                built: program.parent().map(PathBuf::from).unwrap_or_default(),
                node: "node".into(),
                cpus: Cpus {
                    server: 0,
                    generator: 1,
                },
            },
            docs: None,
            rounds: 3,
            time: Duration::from_secs(2),
            engines: Engine::ALL.to_vec(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next()
                    .ok_or_else(|| io::Error::other(format!("{arg} needs a value")))
            };
            match arg.as_str() {
                "--node" => options.programs.node = value()?.into(),
                "--out" => options.docs = Some(value()?.into()),
                "--rounds" => options.rounds = value()?.parse().map_err(io::Error::other)?,
                "--quick" => (options.rounds, options.time) = (1, Duration::from_millis(300)),
                "--engines" => {
                    let names = value()?;
                    let known = |name| Engine::ALL.into_iter().find(|engine| engine.name() == name);
                    let unknown = |name| io::Error::other(format!("unknown engine {name}"));
                    options.engines = { names.split(',') }
                        .map(|name| known(name).ok_or_else(|| unknown(name)))
                        .collect::<io::Result<_>>()?;
                }
                other => return Err(io::Error::other(format!("unknown argument {other}"))),
            }
        }
        Ok(options)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let options = Options::from_args()?;
    raise_open_files()?;
    options
        .programs
        .cpus
        .pin(&[options.programs.cpus.generator])?;
    let mut results = Results {
        rounds: options.rounds,
        ..Results::default()
    };
    for round in 1..=options.rounds {
        println!("round {round} of {}", options.rounds);
        here(&options, Engine::None, &mut results).await;
        for &engine in &options.engines {
            // The servers take turns, because the speed of a machine varies.
            for kind in Kind::ALL.into_iter().filter(|kind| kind.supports(engine)) {
                if let Err(error) = remote(&options, engine, kind, &mut results).await {
                    fail(&mut results, engine, kind, &error);
                }
                if round == 1 {
                    match elsewhere(&options, engine, kind).await {
                        Ok(fraction) => {
                            println!("{} {}: needless {fraction:.3}", engine.name(), kind.title());
                            results
                                .needless
                                .entry(engine)
                                .or_default()
                                .insert(kind, fraction);
                        }
                        Err(error) => fail(&mut results, engine, kind, &error),
                    }
                }
            }
            here(&options, engine, &mut results).await;
        }
    }
    match &options.docs {
        Some(docs) => results.write(docs),
        None => Ok(()),
    }
}

fn fail(results: &mut Results, engine: Engine, kind: Kind, error: &io::Error) {
    let failure = format!("{}, {}: {error}", engine.title(), kind.title());
    println!("{failure}");
    results.failures.push(failure);
}

/// Measures what it costs that a server is in a cluster, for our server.
async fn here(options: &Options, engine: Engine, results: &mut Results) {
    let measured = async {
        let servers = if engine == Engine::None { 1 } else { 2 };
        let cluster =
            Cluster::start(&options.programs, Kind::Ours, engine, servers, options.time).await?;
        let mut samples = vec![
            ("local", cluster.here("local", 1000).await?),
            ("here", cluster.here("cast", 1000).await?),
        ];
        if engine != Engine::None {
            samples.push(("publish-1", cluster.publish(1).await?));
            samples.push(("publish-100", cluster.publish(100).await?));
        }
        Ok(samples)
    };
    match measured.await {
        Ok(samples) => {
            for (scenario, sample) in samples {
                println!("{} {scenario}: {sample:?}", engine.name());
                results.add(scenario, engine, Kind::Ours, sample);
            }
        }
        Err(error) => fail(results, engine, Kind::Ours, &error),
    }
}

async fn remote(
    options: &Options,
    engine: Engine,
    kind: Kind,
    results: &mut Results,
) -> io::Result<()> {
    let cluster = Cluster::start(&options.programs, kind, engine, 2, options.time).await?;
    for (members, burst) in REMOTE {
        let sample = cluster.remote(members, burst).await?;
        let scenario = remote_name(members, burst);
        println!("{} {} {scenario}: {sample:?}", engine.name(), kind.title());
        results.add(&scenario, engine, kind, sample);
    }
    Ok(())
}

async fn elsewhere(options: &Options, engine: Engine, kind: Kind) -> io::Result<f64> {
    let cluster = Cluster::start(&options.programs, kind, engine, 4, options.time).await?;
    cluster.elsewhere().await
}
