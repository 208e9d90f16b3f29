//! The arguments of events and acknowledgements.
//!
//! [`EncodedArgs`] serializes outgoing values directly into the text of a packet and extracts binary leaves as
//! attachments. [`Args`] holds the text as it was received and deserializes it once, into the types that a handler asks
//! for. Neither builds a `serde_json::Value`.
//!
//! In both directions, a tuple, an array of fixed size included, is several arguments, `()` is none, and any other
//! value, a tuple struct or a vector included, is one; `(value,)` is always one. serde cannot tell an array of fixed
//! size from a tuple, nor `Value::Null` from `()`, so `Value::Null` alone is no argument.

mod binary;
mod de;
mod raw;
mod reserved;
mod rest;
pub(crate) mod scan;
mod ser;
#[cfg(test)]
mod tests;
mod tree;

pub use binary::Binary;
pub(crate) use de::{ATTACHMENT, check_json};
pub use de::{Args, ArgsError, Surplus, without_place};
pub use raw::RawArgs;
pub use reserved::{reserved, reserved_for_servers};
pub use rest::Rest;
pub(crate) use scan::check_placeholders;
pub use ser::EncodedArgs;
pub(crate) use ser::HEADROOM;
