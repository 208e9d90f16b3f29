//! The decompressor of messages.

use std::cell::Cell;
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Agreed, TAIL};
use crate::always::always;
use crate::buf::pool;
use crate::websocket::ProtocolError;

thread_local! {
    static SHARED: Cell<Option<Decompress>> = const { Cell::new(None) };
}

/// The ratio that is assumed for the first buffer of a message.
const RATIO: usize = 4;

/// The size that a message may reach at any ratio, in bytes. A higher limit would permit with very many small messages
/// what is denied to a large one.
const FREE: usize = 4 * 1024;

/// Reads the compressed messages of one connection.
pub struct Inflater {
    /// The decompressor of a connection with context takeover, created with the first message.
    own: Option<Decompress>,
    takeover: bool,
    max_ratio: usize,
}

impl Inflater {
    /// Creates a decompressor with the negotiated parameters.
    #[must_use]
    pub fn new(agreed: &Agreed) -> Self {
        Self {
            own: None,
            takeover: agreed.client_takeover,
            max_ratio: usize::try_from(agreed.max_ratio).unwrap_or(usize::MAX),
        }
    }

    /// Decompresses a whole message, which may become `max` bytes long.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Deflate`], [`ProtocolError::TooBig`], [`ProtocolError::Ratio`].
    pub fn inflate(&mut self, payload: &[u8], max: usize) -> Result<Vec<u8>, ProtocolError> {
        let known = if self.takeover {
            self.own.take()
        } else {
            SHARED.take()
        };
        let mut inflate = known.unwrap_or_else(|| Decompress::new(false));
        let allowed = payload.len().saturating_mul(self.max_ratio).max(FREE);
        let result = run(&mut inflate, payload, max.min(allowed));
        let result = result.map_err(|error| match error {
            ProtocolError::TooBig { .. } if allowed < max => ProtocolError::Ratio(self.max_ratio),
            error => error,
        });
        if self.takeover {
            self.own = Some(inflate);
        } else {
            inflate.reset(false);
            SHARED.set(Some(inflate));
        }
        result
    }
}

fn run(inflate: &mut Decompress, payload: &[u8], max: usize) -> Result<Vec<u8>, ProtocolError> {
    let mut data = pool::buffer(payload.len().saturating_mul(RATIO).clamp(64, max.max(64)));
    if !feed(inflate, payload, &mut data, max)? {
        feed(inflate, &TAIL, &mut data, max)?;
    }
    Ok(data)
}

/// Decompresses `input` into `data`. Returns true if the stream has ended, which few clients mark.
fn feed(
    inflate: &mut Decompress,
    mut input: &[u8],
    data: &mut Vec<u8>,
    max: usize,
) -> Result<bool, ProtocolError> {
    loop {
        if data.len() == data.capacity() {
            // One byte above the limit shows that the message is too long.
            let more = data
                .len()
                .clamp(64, max.saturating_add(1).saturating_sub(data.len()).max(64));
            data.reserve_exact(more);
        }
        let (taken, made) = (inflate.total_in(), data.len());
        let status = inflate
            .decompress_vec(input, data, FlushDecompress::Sync)
            .map_err(|_| ProtocolError::Deflate)?;
        let taken = usize::try_from(inflate.total_in() - taken).unwrap_or(usize::MAX);
        input = always(input.get(taken..), "only input is taken");
        if data.len() > max {
            let (limit, size) = (max, None);
            return Err(ProtocolError::TooBig { limit, size });
        }
        let moved = taken > 0 || data.len() > made;
        match status {
            // Another stream may follow, at least the block that ends a message (RFC 7692, section 7.2.3.4).
            Status::StreamEnd => {
                inflate.reset(false);
                if input.is_empty() {
                    return Ok(true);
                }
            }
            _ if input.is_empty() && data.len() < data.capacity() => return Ok(false),
            _ if !moved && data.len() < data.capacity() => return Err(ProtocolError::Deflate),
            _ => {}
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("takeover", &self.takeover)
            .finish_non_exhaustive()
    }
}
