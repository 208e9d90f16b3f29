//! The scenarios.

mod bursts;
mod crowd;
mod exchange;
mod handshakes;
mod hostile;
mod memory;
mod paced;
mod polling;

pub use bursts::bursts;
pub use crowd::{Cast, Crowd};
pub use exchange::{Times, exchange};
pub use handshakes::handshakes;
pub use hostile::{Attack, Hostile, hostile};
pub use memory::memory;
pub use paced::paced;
pub use polling::polling;
