//! Copies of large data, made in pieces.
//!
//! From 2 or 4 KiB on, glibc copies with a single instruction. On AMD's Zen 3 and 4 this takes up to twenty times as
//! long as a loop if source and destination are not aligned alike (glibc bug 30994, fixed in 2.40). Smaller copies run
//! at the speed of the memory on any processor.

/// The size of a piece, in bytes: well below the size from which copies are slow.
pub(crate) const PIECE: usize = 1024;

/// Appends `data`, with one reservation at most.
pub(crate) fn append(buf: &mut Vec<u8>, data: &[u8]) {
    if data.len() <= PIECE {
        return buf.extend_from_slice(data);
    }
    buf.reserve(data.len());
    for piece in data.chunks(PIECE) {
        buf.extend_from_slice(piece);
    }
}

/// Copies bytes.
pub(crate) fn to_vec(data: &[u8]) -> Vec<u8> {
    let mut copy = Vec::new();
    append(&mut copy, data);
    copy
}

/// Copies text.
pub(crate) fn to_string(text: &str) -> String {
    let mut copy = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((piece, more)) = split(rest) {
        copy.push_str(piece);
        rest = more;
    }
    copy.push_str(rest);
    copy
}

/// Splits a piece of whole characters off the front of a longer text.
fn split(text: &str) -> Option<(&str, &str)> {
    (0..4).find_map(|back| text.split_at_checked(PIECE - back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 10_000] {
            for text in ["x", "\u{e9}", "\u{20ac}", "x\u{1F600}"] {
                let text: String = text.chars().cycle().take(len).collect();
                assert_eq!(to_string(&text), text);
                assert_eq!(to_vec(text.as_bytes()), text.as_bytes());
            }
        }
        let mut buf = vec![1];
        append(&mut buf, &[2, 3]);
        assert_eq!(buf, [1, 2, 3]);
    }
}
