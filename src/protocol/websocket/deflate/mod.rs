//! Compression of messages (permessage-deflate, [RFC 7692]): what is agreed on, and how it is done.
//!
//! Without context takeover a message is compressed by itself: one compressor for each thread does for all connections, and
//! one compressed message for all its recipients. With takeover a connection has a compressor of its own, of some 300 KiB.
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

/// What ends a compressed message, and is not sent (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
