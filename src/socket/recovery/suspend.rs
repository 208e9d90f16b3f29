//! The sessions of sockets whose connections are lost, or that the server has disconnected.

use std::fmt;
use std::sync::Arc;

use super::state::SuspendedSocket;
use crate::clock::now;
use crate::outbox::Outbox;
use crate::panics::drop_guarded;
use crate::rooms::{Forgotten, HistoryState, Link, SavedSession, Scope, SuspendedSession};
use crate::socket::Socket;
use crate::socket::data::data_value;
use crate::socket::expiry::expiry_value;
use crate::socket::handle::Inner;
use crate::socket::namespace_handlers::SocketNamespace;
use crate::socket::state::Ended;
use crate::socket::values::SocketValues;

/// The values that users have stored with a session, as the history stores them.
#[derive(Default)]
pub(crate) struct StoredValues {
    pub(super) values: SocketValues,
    /// The dynamic namespace of the session, which exists as long as the session may be resumed.
    _namespace: Option<Arc<SocketNamespace>>,
}

impl StoredValues {
    /// Returns the values of a session of another server: only its data and the time of its end travel.
    pub(super) fn of_saved(session: &SavedSession) -> Self {
        let data = data_value(&session.data);
        let expiry = session.expires.and_then(expiry_value);
        Self {
            values: [data].into_iter().chain(expiry).collect(),
            _namespace: None,
        }
    }
}

impl Drop for StoredValues {
    fn drop(&mut self) {
        self.values.drain(..).for_each(drop_guarded);
    }
}

impl Socket {
    /// Returns the session that would be stored if the connection were lost now.
    pub(super) fn suspended_session(
        &self,
        locked: &HistoryState<Inner>,
    ) -> Option<SuspendedSocket> {
        let state = self.0.recovery.as_ref()?.lock();
        let (began, since) = (state.began, state.since);
        drop(state);
        let (stays, known_after) = self.0.member.stays();
        let values = StoredValues {
            values: self.0.request.added(),
            _namespace: self
                .0
                .namespace
                .is_dynamic()
                .then(|| Arc::clone(&self.0.namespace)),
        };
        Some(SuspendedSession {
            id: self.id(),
            began,
            since,
            stays,
            known_after,
            values: Arc::new(values),
            data: self.0.data_json(),
            expires: self.0.expires(),
            until: locked.sessions.until(now()),
        })
    }

    /// Revokes a suspended session. If its client has already resumed it, that socket is disconnected;
    /// if it is about to, it gets a new socket.
    pub(in crate::socket) fn revoke(&self, scope: Scope) {
        let (Some(history), Some(recovery)) =
            (self.0.namespace.members.history(), &self.0.recovery)
        else {
            return;
        };
        let mut state = recovery.lock();
        if !state.holds {
            // The session that it asks for does not belong to it yet.
            state.revoked = true;
            return;
        }
        let pid = state.pid;
        drop(state);
        let mut forgotten = Forgotten::default();
        let mut locked = history.lock();
        let holder = locked.sessions.revoke(pid, &mut forgotten);
        let attempts = locked.sessions.attempts(pid);
        let itself = { holder.as_ref() }.is_some_and(|holder| Arc::ptr_eq(holder, &self.0));
        drop(locked);
        drop(forgotten);
        match holder {
            // The socket was admitted after `disconnect_from` had found it not connected.
            Some(_) if itself && self.connected() => self.disconnect_from(scope),
            Some(holder) if !itself => holder.disconnect(scope),
            _ => {}
        }
        attempts
            .iter()
            .for_each(|attempt| attempt.disconnect(scope));
    }

    /// Stores the session of a socket that has ended, if its client may resume it.
    pub(in crate::socket) fn suspend(
        &self,
        locked: &mut HistoryState<Inner>,
        ended: Ended,
        forgotten: &mut Forgotten<Arc<StoredValues>>,
    ) {
        let Some(recovery) = &self.0.recovery else {
            return;
        };
        let mut recovery = recovery.lock();
        // An attempt to resume leaves the session unchanged.
        let request = recovery.request.take();
        if let Some(request) = request {
            locked
                .sessions
                .remove_attempt(recovery.pid, &self.0.member.link);
            if let Some(session) = recovery.take_claimed() {
                locked.sessions.put_back(recovery.pid, session);
            }
            forgotten.keep(request.suspended);
        }
        if !recovery.holds {
            return;
        }
        let pid = recovery.pid;
        drop(recovery);
        let tells = self.0.client.revision.is_four();
        let recoverable = tells && ended.was_connected && ended.reason.is_recoverable();
        match recoverable
            .then(|| self.suspended_session(locked))
            .flatten()
        {
            Some(suspended) => locked.sessions.keep(pid, suspended, forgotten),
            None => locked.sessions.end(pid),
        }
    }

    /// Returns the outbox of the client: that of this socket, or of the socket that has resumed its session.
    pub(super) fn holder(&self) -> Option<Arc<Outbox>> {
        if self.connected() {
            return Some(Arc::clone(&self.0.member.outbox));
        }
        // Before it is admitted, the socket of that id is the one whose session it asks for.
        let holds = { self.0.recovery.as_ref()?.lock() }.holds;
        let holder = self.0.namespace.members.get(self.id()).filter(|_| holds)?;
        Some(Arc::clone(&holder.outbox))
    }

    /// Returns true if the client is connected or may resume the session.
    pub(super) fn is_known(&self, locked: &HistoryState<Inner>) -> bool {
        let Some(recovery) = &self.0.recovery else {
            return false;
        };
        // Until the socket is admitted, the private id may belong to another one.
        let state = recovery.lock();
        state.holds && locked.sessions.knows(state.pid)
    }
}

impl fmt::Debug for StoredValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredValues")
            .field(&self.values.len())
            .finish()
    }
}
