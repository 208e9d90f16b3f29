//! A description of the machine: enough to judge the figures, but nothing that identifies it.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::server::Programs;

pub fn describe(programs: &Programs) -> Vec<(String, String)> {
    let lock = include_str!("../../../Cargo.lock");
    let rows = [
        ("processor", processor()),
        ("memory", memory()),
        ("kernel", kernel()),
        ("Rust", says(Command::new("rustc").arg("--version"))),
        ("axum-socketio", commit()),
        ("socketioxide", locked(lock, "socketioxide")),
        (
            "axum, hyper, tokio",
            Some(
                ["axum", "hyper", "tokio"]
                    .map(|name| locked(lock, name).unwrap_or_default())
                    .join(", "),
            ),
        ),
        ("Node", says(Command::new("node").arg("--version"))),
        ("Bun", says(Command::new(programs.bun()).arg("--version"))),
        ("socket.io", package(&programs.node, "socket.io")),
        (
            "@socket.io/bun-engine",
            package(&programs.node, "@socket.io/bun-engine"),
        ),
    ];
    let known = |(name, value): (&str, Option<String>)| Some((name.to_owned(), value?));
    rows.into_iter().filter_map(known).collect()
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let models: Vec<_> = info
        .lines()
        .filter_map(|line| line.strip_prefix("model name"))
        .collect();
    let model = models.first()?.trim_start_matches([':', ' ', '\t']);
    Some(format!("{model}, {} of them seen", models.len()))
}

fn memory() -> Option<String> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: f64 = info
        .lines()
        .next()?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()?;
    Some(format!("{:.0} GiB", kib / 1024.0 / 1024.0))
}

fn kernel() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    // The rest after the version number is specific to the build.
    Some(format!("Linux {}", release.trim().split('-').next()?))
}

fn says(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn commit() -> Option<String> {
    let commit = says(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?;
    Some(format!("commit {commit}"))
}

fn locked(lock: &str, name: &str) -> Option<String> {
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split('"').next()?.to_owned())
}

fn package(node: &Path, name: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Package {
        version: String,
    }
    let path = node.join("node_modules").join(name).join("package.json");
    let package: Package = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some(package.version)
}

/// The load of other processes during the measurement, which the report shows.
pub struct Others {
    started: Instant,
    busy: f64,
    own: f64,
}

impl Others {
    pub fn start() -> io::Result<Self> {
        Ok(Self {
            started: Instant::now(),
            busy: busy()?,
            own: own()?,
        })
    }

    /// Returns two rows for the table.
    pub fn describe(&self) -> io::Result<[(String, String); 2]> {
        let elapsed = self.started.elapsed().as_secs_f64();
        let others = (busy()? - self.busy) - (own()? - self.own);
        let share = (others / elapsed * 100.0).max(0.0);
        Ok([
            ("the run took".to_owned(), format!("{elapsed:.0} s")),
            (
                "other processes took meanwhile".to_owned(),
                format!("{share:.0} % of one processor"),
            ),
        ])
    }
}

/// Returns the processor time in seconds that all processors have spent on this process, on others, or on other
/// machines on the same hardware.
fn busy() -> io::Result<f64> {
    // The kernel counts in hundredths of seconds, whatever its clock: user, nice, system, idle, iowait, irq, softirq,
    // steal.
    const TICKS: f64 = 100.0;

    let stat = fs::read_to_string("/proc/stat")?;
    let times: Vec<f64> = stat
        .lines()
        .next()
        .into_iter()
        .flat_map(str::split_whitespace)
        .filter_map(|time| time.parse().ok())
        .collect();
    let all: f64 = times.iter().take(8).sum();
    let idle: f64 = times.iter().skip(3).take(2).sum();
    Ok((all - idle) / TICKS)
}

/// Returns the processor time in seconds of this process and of the servers that have ended.
fn own() -> io::Result<f64> {
    let mut sum = 0.0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        sum += seconds(usage.user_time()) + seconds(usage.system_time());
    }
    Ok(sum)
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
