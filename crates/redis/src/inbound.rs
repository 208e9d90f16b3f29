//! The parts of a connection that its tasks share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::cluster::Receiver;

use crate::channels::Subscriptions;

/// The receiver of messages, and the channels that it needs.
pub(crate) struct Inbound {
    pub(crate) receiver: Arc<dyn Receiver>,
    subscriptions: Mutex<Subscriptions>,
}

impl Inbound {
    pub(crate) fn new(receiver: Arc<dyn Receiver>) -> Self {
        let subscriptions = Mutex::default();
        Self {
            receiver,
            subscriptions,
        }
    }

    pub(crate) fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
