//! The sockets that an operator can reach.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::options::NamespaceOptions;
use crate::adapter::{
    Adapter, Answers, BoxFuture, ClusterAdapter, Facts, LocalSockets, Publication, ServerRole,
};
use crate::metrics::Counters;
use crate::rooms::{Delivered, Room, RoomInterest, Scope, Target};
use proto::{Args, Sid};

/// The sockets of a namespace, or of all namespaces of a pattern, on all servers.
#[derive(Clone, Debug)]
pub(crate) struct Recipients {
    /// The name of the namespace, or the pattern.
    pub(crate) name: Arc<str>,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) ack_timeout: Duration,
    pub(crate) max_room_len: usize,
}

impl Recipients {
    /// Adds the sockets of a cluster, if there is one, to those on this server.
    pub(super) fn new(
        name: Arc<str>,
        local: Arc<impl LocalSockets>,
        role: ServerRole,
        options: &NamespaceOptions,
        counters: Arc<Counters>,
    ) -> Self {
        let adapter: Arc<dyn Adapter> = match &options.cluster {
            Some(server) => {
                let (nsp, server) = (Arc::clone(&name), Arc::clone(server));
                Arc::new(ClusterAdapter::join(nsp, local, server, role))
            }
            None => local,
        };
        Self {
            name,
            adapter,
            counters,
            ack_timeout: options.ack_timeout,
            max_room_len: options.room_limits.name_len,
        }
    }

    /// Returns the sockets of a namespace that this server does not have.
    pub(super) fn elsewhere(
        name: Arc<str>,
        options: &NamespaceOptions,
        counters: Arc<Counters>,
    ) -> Self {
        let nobody = Arc::new(NoSockets(AtomicU64::new(0)));
        Self::new(name, nobody, ServerRole::Observer, options, counters)
    }
}

/// The part of a namespace on a server that does not have it.
#[derive(Debug)]
struct NoSockets(AtomicU64);

impl LocalSockets for NoSockets {
    fn broadcast(&self, _: Publication<'_>) -> Delivered {
        Delivered::default()
    }

    fn broadcast_with_ack(&self, _: Publication<'_>, _: u64, answers: Arc<dyn Answers>) {
        answers.asked(Vec::new());
    }

    fn forget_answers(&self, _: u64, _: &[Sid]) {}

    fn next_ack_id(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn facts(&self, _: &Target) -> Vec<Facts> {
        Vec::new()
    }

    fn count(&self, _: &Target) -> usize {
        0
    }

    fn rooms(&self) -> Vec<(Room, usize)> {
        Vec::new()
    }

    fn join(&self, _: &Target, _: &[Room]) {}

    fn leave(&self, _: &Target, _: &[Room]) {}

    fn disconnect(&self, _: &Target, _: Scope) {}

    fn handle(&self, _: &str, _: Args) -> BoxFuture<Option<Args>> {
        Box::pin(ready(None))
    }

    fn has_room(&self, _: &str) -> bool {
        false
    }

    fn has_rooms(&self) -> bool {
        true
    }

    fn watch_rooms(&self, _: Box<dyn RoomInterest>) {}
}
