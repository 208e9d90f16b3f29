//! The acknowledgements that the clients of this server owe to another server.

use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use super::namespace::{Cluster, Deadline, MAX_REQUESTS, PeerRequest};
use crate::adapter::{Answers, LocalSockets, Publication};
use crate::metrics::ClusterLoss;
use crate::sync::Lock;
use proto::cluster::{Body, Channel, ClientAnswer};
use proto::{Args, Sid};

impl<L: LocalSockets> Cluster<L> {
    /// Sends an event of another server to the clients of this one, and their acknowledgements to that server.
    pub(super) fn answer_peer(
        self: &Arc<Self>,
        publication: Publication<'_>,
        uid: String,
        request: String,
        limit: Option<Duration>,
        extended: bool,
    ) {
        let id = self.local.next_ack_id();
        let asked = Arc::new(PeerRequest {
            cluster: Arc::downgrade(self),
            uid,
            request: request.clone(),
            id,
            extended,
            waiting: Lock::default(),
            deadline: Lock::default(),
        });
        self.make_room();
        let mut answering = self.answering.lock();
        answering.insert(request.clone(), Arc::clone(&asked));
        drop(answering);
        self.local
            .broadcast_with_ack(publication, id, Arc::clone(&asked) as _);
        let waits = self.answering.lock().contains_key(&request);
        if let (true, Some(limit), Ok(runtime)) = (waits, limit, Handle::try_current()) {
            let cluster = Arc::downgrade(self);
            let deadline = runtime.spawn(async move {
                sleep(limit).await;
                if let Some(cluster) = cluster.upgrade() {
                    cluster.abandon(&request);
                }
            });
            *asked.deadline.lock() = Some(Deadline(deadline.abort_handle()));
        }
    }

    /// Abandons the oldest request if there are too many. Some may be of servers that no longer exist, and wait for
    /// clients that never answer.
    fn make_room(&self) {
        let answering = self.answering.lock();
        if answering.len() < MAX_REQUESTS {
            return;
        }
        let oldest = answering.values().min_by_key(|asked| asked.id);
        let oldest = oldest.map(|asked| asked.request.clone());
        drop(answering);
        if let Some(oldest) = oldest {
            self.report_loss(ClusterLoss::Requests);
            self.abandon(&oldest);
        }
    }

    /// Stops waiting for the acknowledgements that another server has asked for.
    pub(super) fn abandon(&self, request: &str) {
        let asked = self.answering.lock().remove(request);
        if let Some(asked) = asked {
            let waiting = std::mem::take(&mut *asked.waiting.lock());
            let waiting: Vec<_> = waiting.into_keys().collect();
            self.local.forget_answers(asked.id, &waiting);
        }
    }

    /// Removes a request of another server that all clients have answered.
    fn end(&self, ended: &PeerRequest<L>) {
        let mut answering = self.answering.lock();
        // Another request may have come with the same id.
        if { answering.get(&ended.request) }.is_some_and(|asked| asked.id == ended.id) {
            let asked = answering.remove(&ended.request);
            drop(answering);
            drop(asked);
        }
    }
}

impl<L: LocalSockets> PeerRequest<L> {
    fn send(&self, cluster: &Cluster<L>, body: Body<'_>, attachments: &[bytes::Bytes]) {
        let channel = Channel::Server {
            nsp: &cluster.nsp,
            uid: &self.uid,
        };
        cluster.publish_to(channel, body, attachments);
    }

    /// Reports the outcome for a socket, unless that has been done.
    fn settle(&self, id: Sid, outcome: ClientAnswer<'_>, attachments: &[bytes::Bytes]) {
        let Some(cluster) = self.cluster.upgrade() else {
            return;
        };
        let mut waiting = self.waiting.lock();
        let Entry::Occupied(mut events) = waiting.entry(id) else {
            return;
        };
        *events.get_mut() -= 1;
        if *events.get() == 0 {
            events.remove();
        }
        let last = waiting.is_empty();
        drop(waiting);
        let answered = matches!(outcome, ClientAnswer::Answered { .. });
        // Node.js knows no other outcome: it waits until the timeout.
        if answered || self.extended {
            let body = Body::ClientAnswer {
                request: self.request.as_str().into(),
                sid: self.extended.then(|| id.as_str().to_owned().into()),
                answer: outcome,
            };
            self.send(&cluster, body, attachments);
        }
        if last {
            cluster.end(self);
        }
    }
}

impl<L: LocalSockets> Answers for PeerRequest<L> {
    fn asked(&self, ids: Vec<Sid>) {
        let Some(cluster) = self.cluster.upgrade() else {
            return;
        };
        let none = ids.is_empty();
        let count = ids.len() as u64;
        let sids = if self.extended {
            ids.iter().map(|id| id.as_str().to_owned().into()).collect()
        } else {
            Vec::new()
        };
        let mut waiting = self.waiting.lock();
        ids.into_iter()
            .for_each(|id| *waiting.entry(id).or_default() += 1);
        drop(waiting);
        let body = Body::ClientCount {
            request: self.request.as_str().into(),
            count,
            sids,
        };
        self.send(&cluster, body, &[]);
        if none {
            cluster.end(self);
        }
    }

    fn answer(&self, id: Sid, answer: Option<Args>) {
        let Some(args) = answer else {
            return self.settle(id, ClientAnswer::Left, &[]);
        };
        let (answer, all) = first_and_all(&args);
        let outcome = ClientAnswer::Answered {
            answer: answer.unwrap_or("null").into(),
            args: all.map(Into::into),
        };
        self.settle(id, outcome, args.attachments());
    }

    fn unsent(&self, id: Sid) {
        self.settle(id, ClientAnswer::Unsent, &[]);
    }
}

/// Returns the JSON of the first argument, and that of all if there is not exactly one: Node.js transmits only the
/// first.
pub(super) fn first_and_all(args: &Args) -> (Option<&str>, Option<&str>) {
    let Ok(list) = args.raw() else {
        return (None, None);
    };
    let first = list.first().copied();
    (first, (list.len() != 1).then(|| args.json()))
}

impl<L: LocalSockets> fmt::Debug for PeerRequest<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerRequest")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
