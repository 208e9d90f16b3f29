//! The arguments of events and acknowledgements.
//!
//! Going out, [`EncodedArgs`] writes values straight into the text of a packet and takes binary leaves out as attachments.
//! Coming in, [`Args`] keeps the text as it was received and reads it once, into the types that a handler asks for. A
//! `serde_json::Value` is never built on either way.
//!
//! On both ways a tuple, a tuple struct or an array of fixed size is several arguments, `()` is none, and everything else,
//! vectors included, is one.

mod binary;
mod encode;
mod list;
mod received;
mod rest;
pub(in crate::protocol) mod scan;
pub(in crate::protocol) mod spare;
mod strings;
#[cfg(test)]
mod tests;
mod with_attachments;

pub use binary::Binary;
pub use encode::EncodedArgs;
pub(in crate::protocol) use encode::HEADROOM;
pub(in crate::protocol) use received::check_json;
pub(crate) use received::without_place;
pub use received::{Args, ArgsError};
pub use rest::Rest;
pub(in crate::protocol) use scan::check_placeholders;
pub(crate) use spare::Written;
