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
mod reserved;
mod rest;
pub(crate) mod scan;
mod strings;
#[cfg(test)]
mod tests;
mod with_attachments;

pub use binary::Binary;
pub use encode::EncodedArgs;
pub(crate) use encode::HEADROOM;
pub use received::without_place;
pub(crate) use received::{ATTACHMENT, check_json};
pub use received::{Args, ArgsError};
pub use reserved::reserved;
pub use rest::Rest;
pub(crate) use scan::check_placeholders;
