//! The common parts of the servers: their contract, the code that starts them, and a server without a network.

pub mod contract;
pub mod crowd;
pub mod memory;
pub mod process;
pub mod serve;
