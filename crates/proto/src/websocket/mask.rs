//! Masking (section 5.3).

use crate::always::always;

/// The number of bytes that are unmasked at once, on the stack: a multiple of the mask's length.
const PIECE: usize = 1024;

/// Appends `input` to `output`, unmasked, in pieces that fit into the fastest cache. It would take longer to copy all
/// bytes first and unmask them then, above all if the C library copies byte by byte.
pub(super) fn append_unmasked(output: &mut Vec<u8>, input: &[u8], mask: [u8; 4], at: usize) {
    let mut mask = mask;
    mask.rotate_left(at % 4);
    if input.len() <= PIECE {
        let start = output.len();
        output.resize(start + input.len(), 0);
        let plain = always(output.get_mut(start..), "it has been extended");
        return unmask(plain, input, mask);
    }
    output.reserve(input.len());
    let mut buffer = [0; PIECE];
    for masked in input.chunks(PIECE) {
        let plain = always(buffer.get_mut(..masked.len()), "a piece fits");
        unmask(plain, masked, mask);
        output.extend_from_slice(plain);
    }
}

/// Unmasks `masked` into `plain`, which has the same length.
fn unmask(plain: &mut [u8], masked: &[u8], mask: [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(mask));
    let word = (word << 32) | word;
    let ((chunks, rest), (plain, plain_rest)) = (masked.as_chunks(), plain.as_chunks_mut());
    for (plain, chunk) in plain.iter_mut().zip(chunks) {
        *plain = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    let masked = rest.iter().zip(mask.into_iter().cycle());
    for (plain, (byte, mask)) in plain_rest.iter_mut().zip(masked) {
        *plain = byte ^ mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmasking_in_pieces_is_unmasking_at_once() {
        let plain: Vec<u8> = (0..=255).cycle().take(2 * PIECE + 100).collect();
        let mask = [1, 2, 3, 4];
        let masked: Vec<u8> = plain
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        for cut in (0..100).chain(PIECE - 5..PIECE + 5) {
            let mut output = Vec::new();
            append_unmasked(&mut output, &masked[..cut], mask, 0);
            append_unmasked(&mut output, &masked[cut..], mask, cut);
            assert_eq!(output, plain, "cut at {cut}");
        }
    }
}
