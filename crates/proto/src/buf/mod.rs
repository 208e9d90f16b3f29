//! Memory of the codecs: copies of large data, and buffers that threads reuse.

pub(crate) mod copy;
pub(crate) mod pool;
mod queue;
pub(crate) mod scratch;

pub use queue::shrink_if_empty;
pub use scratch::PacketBytes;
