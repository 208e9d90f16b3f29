//! What the servers have in common: the contract they speak, and how they are started.

pub mod contract;
pub mod serve;
