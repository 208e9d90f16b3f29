//! Claims of acknowledgements: each is sent once, by its handler or by an `Ack` that has taken it over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::sync::Lock;

/// An acknowledgement that a client has requested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestedAck {
    /// The client's id of the acknowledgement.
    pub(crate) id: u64,
    /// The number of the handler's call, since a client that violates the protocol may use one id for two events.
    pub(crate) call: u64,
}

/// A flag that is set when an acknowledgement is sent. It is shared by the handler that took the acknowledgement and
/// the task that ran the handler: both may send it, and the first one does.
#[derive(Clone, Debug, Default)]
pub(crate) struct AckClaim(Arc<AtomicBool>);

impl AckClaim {
    /// Returns true for the first caller, which may send the acknowledgement.
    pub(crate) fn claim(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// The acknowledgements of one socket that were taken over by handlers that are still running.
#[derive(Debug, Default)]
pub(super) struct AckClaims {
    /// The length of the list. Avoids the lock in the usual case of none.
    count: AtomicUsize,
    /// The acknowledgements with the number of the handler's call.
    list: Lock<Vec<(u64, AckClaim)>>,
    /// The number of existing `Ack`s, including those of handlers that have ended.
    open: AtomicUsize,
}

impl AckClaims {
    pub(super) fn take(&self, requested: RequestedAck) -> AckClaim {
        let claim = AckClaim::default();
        self.list.lock().push((requested.call, claim.clone()));
        self.count.fetch_add(1, Ordering::Release);
        self.open.fetch_add(1, Ordering::Relaxed);
        claim
    }

    /// Records that an `Ack` was sent or dropped.
    pub(super) fn release(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns true if an `Ack` exists that may still be sent.
    pub(super) fn any_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    /// Removes and returns the acknowledgement of a handler that has ended, if it was taken over.
    pub(super) fn end(&self, requested: RequestedAck) -> Option<AckClaim> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut list = self.list.lock();
        let at = list.iter().position(|(call, _)| *call == requested.call)?;
        let (_, claim) = list.swap_remove(at);
        self.count.fetch_sub(1, Ordering::Release);
        Some(claim)
    }
}
