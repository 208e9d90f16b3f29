//! The claim of a session at a store that servers share.

use std::sync::Arc;

use tokio::time::timeout;

use super::state::StoreClaim;
use crate::logs::with_sources;
use crate::metrics::RecoveryOutcome;
use crate::rooms::{SavedSession, Store, StoreError, StoreReply};
use crate::socket::Socket;
use proto::Sid;

impl Socket {
    /// Returns true if a store has to give out the session to resume before the socket can join.
    pub(crate) fn has_to_claim(&self) -> bool {
        self.claim_to_make().is_some()
    }

    /// Claims the session to resume at the store, if there is one. The socket joins as the session only if the store
    /// gives it out; the result is kept until then.
    pub(crate) async fn claim_at_store(&self) {
        let Some((store, pid)) = self.claim_to_make() else {
            return;
        };
        let claimed = self.await_store(store.claim(pid)).await;
        let claim = match &claimed {
            Some(Some(session)) => StoreClaim::Taken(session.clone()),
            Some(None) => StoreClaim::Refused(RecoveryOutcome::Failed),
            None => StoreClaim::Refused(RecoveryOutcome::Unavailable),
        };
        self.record_claim(pid, claim);
        if let Some(Some(session)) = claimed {
            self.read_missed(&session, &*store).await;
        }
    }

    fn claim_to_make(&self) -> Option<(Arc<dyn Store>, Sid)> {
        let pid = { self.0.recovery.as_ref()?.lock() }.requested()?;
        let locked = self.0.namespace.members.history()?.lock();
        Some((Arc::clone(locked.sessions.store()?), pid))
    }

    fn record_claim(&self, pid: Sid, claim: StoreClaim) {
        let (Some(history), Some(recovery)) =
            (self.0.namespace.members.history(), &self.0.recovery)
        else {
            return;
        };
        let locked = history.lock();
        let mut state = recovery.lock();
        match claim {
            // The socket has ended meanwhile, so its client may resume the session elsewhere.
            StoreClaim::Taken(session) if state.request.is_none() => {
                locked.sessions.put_back(pid, session);
            }
            claim => state.claim = claim,
        }
    }

    /// Waits for the reply of the store. Returns `None`, and logs the reason, if there is none in time.
    pub(super) async fn await_store(
        &self,
        reply: StoreReply<Option<SavedSession>>,
    ) -> Option<Option<SavedSession>> {
        let limit = self.0.namespace.options.recovery?.claim_timeout;
        match timeout(limit, reply).await {
            Ok(Ok(session)) => return Some(session),
            Ok(Err(error)) => self.log_no_reply(Some(&error)),
            Err(_) => self.log_no_reply(None),
        }
        None
    }

    pub(super) fn log_no_reply(&self, error: Option<&StoreError>) {
        if !self.0.client.logs.allow() {
            return;
        }
        let (socket, nsp) = (self.id(), self.nsp());
        match error {
            Some(error) => {
                let error = with_sources(&**error);
                tracing::warn!(%socket, nsp, error, "session not recovered: its store has failed");
            }
            None => tracing::warn!(
                %socket,
                nsp,
                "session not recovered: its store did not answer in time; see claim_timeout"
            ),
        }
    }
}
