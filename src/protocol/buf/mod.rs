//! Memory of the codecs: copies of large data, and buffers that threads reuse.

pub(in crate::protocol) mod copy;
pub(in crate::protocol) mod pool;
mod queue;
pub(in crate::protocol) mod scratch;

pub(crate) use queue::shrink_if_empty;
pub(crate) use scratch::PacketBytes;
