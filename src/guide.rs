//! Longer texts: the same that the repository has in `docs/`.

#[doc = include_str!("../docs/getting-started.md")]
pub mod getting_started {}

#[doc = include_str!("../docs/compatibility.md")]
pub mod compatibility {}

#[doc = include_str!("../docs/migrating-from-node.md")]
pub mod migrating_from_node {}

#[doc = include_str!("../docs/recovery.md")]
pub mod recovery {}

#[doc = include_str!("../docs/operations.md")]
pub mod operations {}

#[doc = include_str!("../docs/metrics.md")]
pub mod metrics {}

#[doc = include_str!("../docs/security.md")]
pub mod security {}

#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
