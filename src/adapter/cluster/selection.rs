//! The targets of events and operations, in the form of messages.

use std::borrow::Cow;
use std::time::Duration;

use crate::rooms::{Room, Target};
use proto::cluster::Selection;

/// Returns true if other servers may have sockets of the target.
pub(super) fn concerns_peers(target: &Target) -> bool {
    !target.local && target.rooms.as_ref().is_none_or(|rooms| !rooms.is_empty())
}

pub(super) fn names(rooms: &[Room]) -> Vec<Cow<'_, str>> {
    rooms.iter().map(|room| Cow::Borrowed(&**room)).collect()
}

/// Returns the form of a target in messages, with the time that the sender waits for answers.
pub(super) fn selection(target: &Target, limit: Option<Duration>) -> Selection<'_> {
    let mut selection = target.selection();
    selection.flags.timeout = limit.map(milliseconds);
    selection
}

/// Returns a time in milliseconds, rounded up.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
