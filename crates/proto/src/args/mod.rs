//! The arguments of events and acknowledgements.
//!
//! [`EncodedArgs`] serializes outgoing values directly into the text of a packet and extracts binary leaves as
//! attachments. [`Args`] holds the text as it was received and deserializes it once, into the types that a handler asks
//! for. Neither builds a `serde_json::Value`.
//!
//! In both directions, a tuple, a tuple struct or an array of fixed size is several arguments, `()` is no argument, and
//! any other value, a vector included, is one argument.

mod binary;
mod de;
mod reserved;
mod rest;
pub(crate) mod scan;
mod ser;
#[cfg(test)]
mod tests;

pub use binary::Binary;
pub(crate) use de::{ATTACHMENT, check_json};
pub use de::{Args, ArgsError, without_place};
pub use reserved::reserved;
pub use rest::Rest;
pub(crate) use scan::check_placeholders;
pub use ser::EncodedArgs;
pub(crate) use ser::HEADROOM;
