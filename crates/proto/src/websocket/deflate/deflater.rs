//! The compressor of messages.

use std::cell::RefCell;
use std::fmt;

use flate2::{Compress, Compression as Level, FlushCompress};

use super::{Agreed, TAIL};

thread_local! {
    /// The compressors of a thread, at most [`MAX_SHARED`].
    static SHARED: RefCell<Vec<(Kind, Compress)>> = const { RefCell::new(Vec::new()) };
}

/// The maximum number of compressors of a thread: one for each size of window.
const MAX_SHARED: usize = 7;

/// The parameters that distinguish compressors: window and level.
type Kind = (u8, u32);

/// Compresses the messages of one connection.
pub struct Deflater {
    /// The compressor of a connection with context takeover, created with the first message.
    own: Option<Compress>,
    kind: Kind,
    takeover: bool,
    threshold: usize,
}

impl Deflater {
    /// Creates a compressor with the negotiated parameters.
    #[must_use]
    pub const fn new(agreed: &Agreed) -> Self {
        Self {
            own: None,
            kind: (agreed.server_window_bits, agreed.level),
            takeover: agreed.server_takeover,
            threshold: agreed.threshold,
        }
    }

    /// Returns the window, in bits, if the compressed form of a message suits all connections with that window.
    #[must_use]
    pub const fn shared_window(&self) -> Option<u8> {
        if self.takeover {
            None
        } else {
            Some(self.kind.0)
        }
    }

    /// Returns the minimum size of a message that is compressed, in bytes.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Compresses a whole message. Returns `None` if it is below the threshold, or would not become shorter.
    pub fn deflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() < self.threshold {
            return None;
        }
        let (bits, level) = self.kind;
        let new = || Compress::new_with_window_bits(Level::new(level), false, bits);
        let known = if self.takeover {
            self.own.take()
        } else {
            take_shared(self.kind)
        };
        let mut deflate = known.unwrap_or_else(new);
        let compressed = run(&mut deflate, payload);
        if self.takeover {
            // Later messages must not refer to one that the other side has not received.
            if compressed.is_some() {
                self.own = Some(deflate);
            }
        } else {
            deflate.reset();
            keep_shared(self.kind, deflate);
        }
        compressed
    }
}

/// Takes the thread's compressor of a kind, if it has one.
fn take_shared(kind: Kind) -> Option<Compress> {
    SHARED.with_borrow_mut(|shared| {
        let at = shared.iter().position(|(known, _)| *known == kind)?;
        Some(shared.swap_remove(at).1)
    })
}

fn keep_shared(kind: Kind, deflate: Compress) {
    SHARED.with_borrow_mut(|shared| {
        // Several servers may have different levels, so there may be more kinds than sizes of window.
        if shared.len() >= MAX_SHARED {
            shared.remove(0);
        }
        shared.push((kind, deflate));
    });
}

fn run(deflate: &mut Compress, payload: &[u8]) -> Option<Vec<u8>> {
    // The result must be shorter than the payload; the tail, which is removed, comes on top.
    let mut data = Vec::with_capacity(payload.len() + TAIL.len());
    let start = deflate.total_in();
    deflate
        .compress_vec(payload, &mut data, FlushCompress::Sync)
        .ok()?;
    let taken = usize::try_from(deflate.total_in() - start).ok()?;
    let whole = taken == payload.len() && data.ends_with(&TAIL);
    data.truncate(data.len().saturating_sub(TAIL.len()));
    (whole && data.len() < payload.len()).then_some(data)
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("takeover", &self.takeover)
            .field("threshold", &self.threshold)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Compression, Inflater, negotiate};
    use super::*;
    use crate::websocket::ProtocolError;

    fn pair(takeover: bool, bits: u8, level: u32) -> (Deflater, Inflater) {
        let mut wanted = Compression::new()
            .threshold(0)
            .level(level)
            .server_max_window_bits(bits);
        if takeover {
            wanted = wanted.server_context_takeover().client_context_takeover();
        }
        let (agreed, _) = negotiate(["permessage-deflate"], &wanted).unwrap();
        (Deflater::new(&agreed), Inflater::new(&agreed))
    }

    #[test]
    fn repeated_messages_shrink_only_with_context_takeover() {
        let message: Vec<u8> = (0..500_u32).flat_map(u32::to_le_bytes).collect();
        for takeover in [false, true] {
            let (mut deflater, mut inflater) = pair(takeover, 15, 6);
            let first = deflater.deflate(&message).unwrap();
            let second = deflater.deflate(&message).unwrap();
            assert_eq!(second.len() * 10 < first.len(), takeover);
            for compressed in [first, second] {
                assert_eq!(inflater.inflate(&compressed, 10_000), Ok(message.clone()));
            }
        }
    }

    #[test]
    fn short_or_incompressible_messages_stay_uncompressed() {
        let wanted = Compression::new();
        let (agreed, _) = negotiate(["permessage-deflate"], &wanted).unwrap();
        assert_eq!(Deflater::new(&agreed).deflate(&[b'x'; 1023]), None);
        assert!(Deflater::new(&agreed).deflate(&[b'x'; 1024]).is_some());
        let (mut deflater, _) = pair(false, 15, 6);
        let noise: Vec<u8> = (0..100_u8)
            .map(|n| n.wrapping_mul(n).wrapping_mul(37) ^ (n / 3))
            .collect();
        assert_eq!(deflater.deflate(&noise), None);
    }

    #[test]
    fn inflation_stops_at_the_limit() {
        let (mut deflater, mut inflater) = pair(false, 15, 9);
        let bomb = deflater.deflate(&vec![0; 50_000_000]).unwrap();
        assert!(bomb.len() < 100_000);
        let refused = inflater.inflate(&bomb, 1_000_000);
        assert_eq!(
            refused,
            Err(ProtocolError::TooBig {
                limit: 1_000_000,
                size: None
            })
        );
        let exact = deflater.deflate(&[7; 1000]).unwrap();
        assert_eq!(
            inflater.inflate(&exact, 1000).map(|data| data.len()),
            Ok(1000)
        );
        assert_eq!(
            inflater.inflate(&exact, 999),
            Err(ProtocolError::TooBig {
                limit: 999,
                size: None
            })
        );
    }

    #[test]
    fn uncompressed_data_cannot_be_inflated() {
        let (_, mut inflater) = pair(false, 15, 6);
        let refused = inflater.inflate(b"hello world, this is no deflate", 1000);
        assert_eq!(refused, Err(ProtocolError::Deflate));
        assert_eq!(inflater.inflate(&[], 1000), Ok(Vec::new()));
    }

    #[test]
    fn a_last_block_may_say_so() {
        let mut deflate = Compress::new(Level::new(6), false);
        let mut data = Vec::with_capacity(100);
        deflate
            .compress_vec(b"hello hello hello", &mut data, FlushCompress::Finish)
            .unwrap();
        for takeover in [false, true] {
            let (_, mut inflater) = pair(takeover, 15, 6);
            for _ in 0..2 {
                let read = inflater.inflate(&data, 1000);
                assert_eq!(read, Ok(b"hello hello hello".to_vec()));
            }
        }
        // The examples of RFC 7692, section 7.2.3.
        let whole = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let stored = [
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ];
        let two = [
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ];
        for example in [&whole[..], &stored, &two] {
            let (_, mut inflater) = pair(false, 15, 6);
            assert_eq!(inflater.inflate(example, usize::MAX), Ok(b"Hello".to_vec()));
        }
    }

    proptest! {
        #[test]
        fn compressed_messages_are_inflated(
            messages in prop::collection::vec(prop::collection::vec(0_u8..4, 0..5000), 1..6),
            takeover: bool,
            bits in 9_u8..=15,
            level in 1_u32..=9,
        ) {
            let (mut deflater, mut inflater) = pair(takeover, bits, level);
            for message in messages {
                if let Some(compressed) = deflater.deflate(&message) {
                    prop_assert!(compressed.len() < message.len());
                    prop_assert_eq!(inflater.inflate(&compressed, 5000), Ok(message));
                }
            }
        }

        #[test]
        fn reading_never_panics_nor_makes_more_than_it_may(
            payloads in prop::collection::vec(any::<Vec<u8>>(), 1..4),
            takeover: bool,
        ) {
            let (_, mut inflater) = pair(takeover, 15, 6);
            for payload in payloads {
                if let Ok(data) = inflater.inflate(&payload, 300) {
                    prop_assert!(data.len() <= 300);
                }
            }
        }
    }
}
