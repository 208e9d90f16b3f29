//! The session that a client asks to resume.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::Socket;
use crate::hub::now;
use crate::rooms::{Away, Claim, History, Kept, Offset};
use proto::Sid;

#[derive(Debug)]
pub(super) struct Wish {
    /// The state of the session at the time of the request.
    pub(super) away: Away,
    /// The offset of the last event that the client has seen, as sent by the client.
    offset: Option<Box<str>>,
}

/// The members of a CONNECT's auth that ask to resume a session.
#[derive(Deserialize)]
pub(super) struct Wanted<'a> {
    #[serde(borrow)]
    pid: Cow<'a, str>,
    /// The offset; absent if the client has seen no event.
    #[serde(borrow, default)]
    offset: Option<Cow<'a, str>>,
}

impl Wanted<'_> {
    /// Looks the session up, without changing it.
    pub(super) fn find(&self, history: &History) -> Option<(Sid, Wish)> {
        let pid = self.pid.parse().ok()?;
        let kept = history.lock();
        let claim = kept.sessions.look(pid, now());
        let away = match &claim {
            Claim::Nothing => None,
            Claim::Away(away) => Some(away.clone()),
            Claim::Held(link) => {
                let holder = Socket::from_link(Arc::clone(link));
                holder.and_then(|holder| holder.as_if_away(&kept))
            }
        };
        let offset = self.offset.as_deref().map(Box::from);
        let wish = away.map(|away| Wish { away, offset });
        let may = wish.as_ref().and_then(|wish| wish.after(&kept, &wish.away));
        // Values of users are dropped without holding a lock.
        drop(kept);
        drop(claim);
        may.and(wish).map(|wish| (pid, wish))
    }
}

impl Wish {
    /// Returns the number of the last event that the client has seen, if all later events are still stored.
    pub(super) fn after(&self, kept: &Kept, away: &Away) -> Option<u64> {
        let began = away.began;
        let after = match self.offset.as_deref().map(|offset| kept.log.parse(offset)) {
            None | Some(Some(Offset::Elsewhere)) => began,
            // Clients retain the offset of their previous socket.
            Some(Some(Offset::At(number))) => number.max(began),
            Some(None) => return None,
        };
        (kept.log.reaches(after) && after >= away.known_after).then_some(after)
    }
}
