//! Fresh ids.

use crate::protocol::Sid;

/// An id that nobody can guess: 120 bits from the operating system.
pub(crate) fn new_sid() -> Option<Sid> {
    let mut bytes = [0; 15];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Some(Sid::from_random(bytes)),
        Err(error) => {
            tracing::error!(%error, "the operating system gives no random bytes");
            None
        }
    }
}
