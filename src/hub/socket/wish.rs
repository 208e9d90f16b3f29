//! The socket that a client asks to resume.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::Socket;
use super::comeback::now;
use crate::protocol::Sid;
use crate::rooms::{Away, Claim, History, Kept, Offset};

#[derive(Debug)]
pub(super) struct Wish {
    /// As it was when the client asked.
    pub(super) away: Away,
    /// The last event that its client has seen, in its own words.
    offset: Option<Box<str>>,
}

/// What the client says in its CONNECT, among what else there is.
#[derive(Deserialize)]
pub(super) struct Wanted<'a> {
    #[serde(borrow)]
    pid: Cow<'a, str>,
    /// Not there if it has seen no event.
    #[serde(borrow, default)]
    offset: Option<Cow<'a, str>>,
}

impl Wanted<'_> {
    /// Looks at what it names, and leaves it as it is.
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
        // What users keep with it is dropped with no lock held.
        drop(kept);
        drop(claim);
        may.and(wish).map(|wish| (pid, wish))
    }
}

impl Wish {
    /// The last event that the client has seen, if what came later is still there.
    pub(super) fn after(&self, kept: &Kept, away: &Away) -> Option<u64> {
        let began = away.began;
        let after = match self.offset.as_deref().map(|offset| kept.log.parse(offset)) {
            None | Some(Some(Offset::Elsewhere)) => began,
            // Clients keep the offset of a socket that they had before.
            Some(Some(Offset::At(number))) => number.max(began),
            Some(None) => return None,
        };
        (kept.log.reaches(after) && after >= away.known_after).then_some(after)
    }
}
