//! Random ids.

use std::cell::Cell;

use crate::logs::may_log;
use proto::Sid;

/// The number of ids for which random bytes are requested from the operating system at once: the call is the main cost.
const AT_ONCE: usize = 32;

thread_local! {
    /// Random bytes that are not used for an id yet.
    static UNUSED: Cell<Vec<[u8; 15]>> = const { Cell::new(Vec::new()) };
}

/// Creates an unguessable id: 120 bits from the operating system.
pub(crate) fn new_sid() -> Option<Sid> {
    // The variable is not accessible in a thread that is ending.
    let mut unused = UNUSED.try_with(Cell::take).unwrap_or_default();
    if unused.is_empty() {
        unused.resize(AT_ONCE, [0; 15]);
        if let Err(error) = getrandom::fill(unused.as_flattened_mut()) {
            if may_log() {
                tracing::error!(
                    error = error.to_string(),
                    "the operating system gives no random bytes"
                );
            }
            return None;
        }
    }
    let bytes = unused.pop();
    let _ = UNUSED.try_with(|slot| slot.set(unused));
    bytes.map(Sid::from_random)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_id_comes_twice() {
        let ids: HashSet<_> = (0..4 * AT_ONCE).filter_map(|_| new_sid()).collect();
        assert_eq!(ids.len(), 4 * AT_ONCE);
    }
}
