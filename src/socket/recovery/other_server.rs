//! Sessions that another server has saved in the store: the search for one, and the events that its client has missed.

use std::pin::pin;
use std::sync::Arc;

use tokio::time::timeout;

use super::state::{
    Elsewhere, RecoveryState, ResumeAuth, ResumeRequest, StoreClaim, SuspendedSocket,
};
use super::suspend::StoredValues;
use crate::clock::now;
use crate::metrics::RecoveryOutcome;
use crate::outbox::Frame;
use crate::rooms::recovery::{Location, LoggedEvent, Position};
use crate::rooms::{History, Room, SavedSession, Stay, Store, StoreError, Target};
use crate::socket::Socket;
use crate::socket::handle::Inner;
use proto::Sid;

/// The search for a session in the store, which another server may have saved.
pub(crate) struct SessionSearch {
    store: Arc<dyn Store>,
    pid: Sid,
    /// The position of the last event that the client has seen, if it has seen any.
    offset: Option<Position>,
}

impl SessionSearch {
    /// Returns a search if the auth names a session that this server does not know, and there is a store.
    pub(crate) fn new(history: &History<Inner>, auth: Option<&str>) -> Option<Self> {
        let store = Arc::clone(history.store.as_ref()?);
        let named: ResumeAuth<'_> = serde_json::from_str(auth?).ok()?;
        let pid = named.pid.parse().ok()?;
        let offset = named.offset.as_deref().map(|offset| store.parse(offset));
        if offset == Some(None) || history.lock().sessions.knows(pid) {
            return None;
        }
        let offset = offset.flatten();
        Some(Self { store, pid, offset })
    }

    /// Waits for the session. `socket` stands for the one that the client will get. Returns `None` if there are no
    /// random bytes.
    pub(crate) async fn find(self, socket: Socket) -> Option<Box<RecoveryState>> {
        let history = socket.namespace().members.history()?;
        let mut recovery = RecoveryState::new(history, None)?;
        recovery.forgotten = true;
        match socket.await_store(self.store.look(self.pid)).await {
            Some(Some(session)) => self.resume(&session, history, &mut recovery),
            Some(None) => {}
            None => recovery.claim = StoreClaim::Refused(RecoveryOutcome::Unavailable),
        }
        Some(Box::new(recovery))
    }

    fn resume(
        &self,
        session: &SavedSession,
        history: &History<Inner>,
        recovery: &mut RecoveryState,
    ) {
        // Servers of Node.js do not tell the position before which the client was not connected.
        let Some(after) = self.offset.max(session.since) else {
            return;
        };
        if after < session.floor {
            return;
        }
        let since = session.since.unwrap_or(after);
        let stay = |room: &Room| Stay {
            room: Arc::clone(room),
            after: 0,
            until: None,
        };
        let suspended = SuspendedSocket {
            id: session.id,
            // Nothing that this server has numbered: a client that has seen no event yet cannot resume here again.
            began: 0,
            since,
            stays: session.rooms.iter().map(stay).collect(),
            known_after: 0,
            values: Arc::new(StoredValues::of_saved(session)),
            data: session.data.as_str().into(),
            expires: session.expires,
            until: history.lock().sessions.until(now()),
        };
        recovery.pid = self.pid;
        (recovery.forgotten, recovery.recovered) = (false, true);
        recovery.since = since;
        recovery.request = Some(ResumeRequest {
            suspended,
            offset: None,
            elsewhere: Some(Elsewhere {
                after,
                missed: Vec::new(),
            }),
        });
    }
}

impl Socket {
    /// Reads the events that the client of another server's session has missed, up to those that this server has.
    pub(super) async fn read_missed(&self, session: &SavedSession, store: &dyn Store) {
        let Some(history) = self.namespace().members.history() else {
            return;
        };
        let Some(after) = self.read_from() else {
            return;
        };
        let reading = async {
            if after < session.floor {
                return Ok(None);
            }
            self.read_pages(after, session, history, store).await
        };
        let read = timeout(history.options.claim_timeout, reading).await;
        let read = match read {
            Ok(Ok(Some(read))) => Ok(read),
            Ok(Ok(None)) => Err(RecoveryOutcome::Failed),
            Ok(Err(error)) => {
                self.log_no_reply(Some(&error));
                Err(RecoveryOutcome::Unavailable)
            }
            Err(_) => {
                self.log_no_reply(None);
                Err(RecoveryOutcome::Unavailable)
            }
        };
        let Some(recovery) = &self.0.recovery else {
            return;
        };
        let mut state = recovery.lock();
        match read {
            Ok(read) => {
                if let Some(request) = &mut state.request {
                    request.elsewhere = Some(read);
                }
            }
            Err(outcome) => state.claim = StoreClaim::Refused(outcome),
        }
    }

    /// Returns the position after which events are missed, if the session to resume is of another server.
    fn read_from(&self) -> Option<Position> {
        let state = self.0.recovery.as_ref()?.lock();
        let elsewhere = state.request.as_ref()?.elsewhere.as_ref()?;
        Some(elsewhere.after)
    }

    /// Returns `None` if some of the events are not stored any more, are too many, or were delivered without positions.
    async fn read_pages(
        &self,
        after: Position,
        session: &SavedSession,
        history: &History<Inner>,
        store: &dyn Store,
    ) -> Result<Option<Elsewhere>, StoreError> {
        let (mut missed, mut bytes) = (Vec::new(), 0);
        let mut reader = history.scan.reader(after);
        loop {
            let mut arrival = pin!(history.arrivals.notified());
            arrival.as_mut().enable();
            let after = reader.after();
            let location = history.lock().log.locate(after);
            let until = match location {
                Location::At(_) => return Ok(Some(Elsewhere { after, missed })),
                Location::Cut => return Ok(None),
                Location::Ahead => {
                    arrival.await;
                    continue;
                }
                Location::Before(until) => until,
            };
            let Some(page) = reader.page(store).await? else {
                return Ok(None);
            };
            let wanted =
                |(position, _): &&(Position, LoggedEvent)| *position > after && *position <= until;
            for (position, event) in page.iter().filter(wanted) {
                if is_for(&event.target, session) {
                    bytes += event.size();
                    missed.push(self.frame_at(event, &store.offset(*position)));
                }
            }
            let last = page.last().map_or(until, |(position, _)| *position);
            reader.advance(last.min(until));
            if missed.len() > history.options.max_packets || bytes > history.options.max_bytes {
                return Ok(None);
            }
        }
    }

    fn frame_at(&self, event: &LoggedEvent, offset: &str) -> Frame {
        let encoder = &self.namespace().encoder;
        encoder.event_at(&event.args, Some(offset))
    }
}

/// Returns true if a socket was among the recipients of an event, as far as the rooms of its saved session tell.
fn is_for(target: &Target, session: &SavedSession) -> bool {
    let is_in = |room: &Room| **room == *session.id.as_str() || session.rooms.contains(room);
    !target.local
        && { target.rooms.as_ref() }.is_none_or(|rooms| rooms.iter().any(is_in))
        && !target.except.iter().any(is_in)
        && target.except_id != Some(session.id)
}
