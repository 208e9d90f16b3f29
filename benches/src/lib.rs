//! What the servers have in common: the contract they speak, and how they are started. And a server without a network.

pub mod contract;
pub mod memory;
pub mod serve;
