//! The targets of events and operations, in the form of messages.

use std::borrow::Cow;
use std::time::Duration;

use crate::rooms::{Room, Target};
use proto::cluster::{Flags, Selection};

/// Returns true if other servers may have sockets of the target.
pub(super) fn concerns_peers(target: &Target) -> bool {
    !target.local && target.rooms.as_ref().is_none_or(|rooms| !rooms.is_empty())
}

pub(super) fn names(rooms: &[Room]) -> Vec<Cow<'_, str>> {
    rooms.iter().map(|room| Cow::Borrowed(&**room)).collect()
}

/// Returns the form of a target in messages.
pub(super) fn selection(target: &Target, limit: Option<Duration>) -> Selection<'_> {
    let mut except = names(&target.except);
    except.extend({ target.except_id.as_ref() }.map(|id| Cow::Owned(id.as_str().to_owned())));
    Selection {
        rooms: names(target.rooms.as_deref().unwrap_or_default()),
        except,
        flags: Flags {
            volatile: target.options.is_volatile().then_some(true),
            compress: target.options.uncompressed.then_some(false),
            expect_single_response: None,
            timeout: limit.map(milliseconds),
        },
    }
}

pub(super) fn into_owned(selection: Selection<'_>) -> Selection<'static> {
    let owned = |names: Vec<Cow<'_, str>>| {
        let owned = names.into_iter().map(|name| Cow::Owned(name.into_owned()));
        owned.collect()
    };
    Selection {
        rooms: owned(selection.rooms),
        except: owned(selection.except),
        flags: selection.flags,
    }
}

/// Returns a time in milliseconds, rounded up.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
