//! Compression of messages (permessage-deflate, [RFC 7692]): its negotiation, and the codec.
//!
//! Without context takeover, a message is compressed independently: one compressor for each thread suffices for all
//! connections, and one compressed message for all its recipients. With takeover, a connection has a compressor of its
//! own, of some 300 KiB.
//!
//! [RFC 7692]: https://datatracker.ietf.org/doc/html/rfc7692

mod deflater;
mod inflater;
mod offer;
mod options;

pub use deflater::Deflater;
pub use inflater::Inflater;
pub use offer::{Agreed, negotiate};
pub use options::Compression;

/// The end of a compressed message, which is not sent (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
