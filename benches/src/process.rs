//! The resources of a process, as the operating system reports them.

use std::io;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

use crate::crowd::resident_memory;

/// A running process, and the clock of the processor time of all its threads.
///
/// The kernel counts the time of these clocks to the nanosecond. It is the sum of the run times in `schedstat`,
/// including threads that have ended, and up to date even for a running thread.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pid: u32,
    clock: ClockId,
}

impl Process {
    /// Returns the process with this identifier.
    ///
    /// # Errors
    ///
    /// Returns an error if there is none.
    pub fn of(pid: u32) -> io::Result<Self> {
        let raw = Pid::from_raw(pid.try_into().map_err(io::Error::other)?);
        let clock = clock_getcpuclockid(raw)?;
        Ok(Self { pid, clock })
    }

    /// Returns this process.
    ///
    /// # Errors
    ///
    /// Returns an error of the operating system.
    pub fn this() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// Returns the processor time of all its threads.
    ///
    /// # Errors
    ///
    /// Returns an error of the operating system.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        Ok(self.clock.now()?.into())
    }

    /// Returns the resident memory in bytes.
    ///
    /// # Errors
    ///
    /// Returns an error of the operating system.
    pub fn memory(&self) -> io::Result<u64> {
        resident_memory(self.pid)
    }
}

/// The processors of the server and of the generator.
#[derive(Clone, Copy, Debug)]
pub struct Cpus {
    pub server: usize,
    pub generator: usize,
}

impl Cpus {
    /// Pins this thread. A process that it starts is pinned to the processors too.
    ///
    /// # Errors
    ///
    /// Returns an error if a processor does not exist.
    pub fn pin(self, cpus: &[usize]) -> io::Result<()> {
        let mut set = CpuSet::new();
        for &cpu in cpus {
            set.set(cpu)?;
        }
        sched_setaffinity(Pid::from_raw(0), &set)
            .map_err(|error| io::Error::other(format!("cannot run on processor {cpus:?}: {error}")))
    }
}

/// Raises the limit of open files to the user's maximum, for this process and the servers. Returns the limit.
///
/// # Errors
///
/// Returns an error of the operating system.
pub fn raise_open_files() -> io::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}
