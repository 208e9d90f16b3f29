//! The arguments of events and acknowledgements.
//!
//! [`EncodedArgs`] serializes outgoing values directly into the text of a packet and extracts binary leaves as
//! attachments. [`Args`] holds the text as it was received and deserializes it once, into the types that a handler asks
//! for. Neither builds a `serde_json::Value`.
//!
//! In both directions, a tuple, a tuple struct or an array of fixed size is several arguments, `()` is no argument, and
//! any other value, a vector included, is one argument.

mod binary;
mod encode;
mod list;
mod received;
mod rest;
pub(in crate::protocol) mod scan;
mod strings;
#[cfg(test)]
mod tests;
mod with_attachments;

pub use binary::Binary;
pub use encode::EncodedArgs;
pub(in crate::protocol) use encode::HEADROOM;
pub(crate) use received::without_place;
pub(in crate::protocol) use received::{ATTACHMENT, check_json};
pub use received::{Args, ArgsError};
pub use rest::Rest;
pub(in crate::protocol) use scan::check_placeholders;
