//! What the operating system knows of a process.

use std::fs;
use std::io;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// A running process, and the clock of the processor time that it has used, in all its threads.
///
/// The kernel counts the time of these clocks to the nanosecond: it is the sum of the run times in `schedstat`, threads that
/// have ended included, and up to date even for one that runs.
#[derive(Clone, Copy)]
pub struct Process {
    pid: Pid,
    clock: ClockId,
}

impl Process {
    pub fn of(pid: u32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid.try_into().map_err(io::Error::other)?);
        Ok(Self {
            pid,
            clock: clock_getcpuclockid(pid)?,
        })
    }

    pub fn this() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    pub fn cpu_time(&self) -> io::Result<Duration> {
        Ok(self.clock.now()?.into())
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> io::Result<u64> {
        // `smaps_rollup` is exact, `statm` may lag behind by some pages for each thread.
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        rollup
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|kib| kib.parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or_else(|| io::Error::other("the kernel does not tell the resident memory"))
    }
}

/// Where the server runs and where the generator.
#[derive(Clone, Copy, Debug)]
pub struct Cpus {
    pub server: usize,
    pub generator: usize,
}

impl Cpus {
    /// Pins this thread; a process that it starts is pinned likewise.
    pub fn pin(self, cpus: &[usize]) -> io::Result<()> {
        let mut set = CpuSet::new();
        for &cpu in cpus {
            set.set(cpu)?;
        }
        sched_setaffinity(Pid::from_raw(0), &set)
            .map_err(|error| io::Error::other(format!("cannot run on processor {cpus:?}: {error}")))
    }
}

/// As many open files as this user may have, here and in the servers. Returns how many.
pub fn raise_open_files() -> io::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}
