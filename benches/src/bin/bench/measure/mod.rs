//! The measured quantities: processor time, memory, latency.

mod histogram;
mod sample;

pub use axum_socketio_benches::process::{Cpus, Process, raise_open_files};
pub use histogram::Histogram;
pub use sample::{Sample, Watch};
