//! The measured quantities: processor time, memory, latency.

mod histogram;
mod process;
mod sample;

pub use histogram::Histogram;
pub use process::{Cpus, Process, raise_open_files};
pub use sample::{Sample, Watch};
