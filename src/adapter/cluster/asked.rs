//! The acknowledgements that the clients of this server owe to another server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use super::namespace::{AskedByPeer, Cluster, MAX_REQUESTS};
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
        let asked = Arc::new(AskedByPeer {
            cluster: Arc::downgrade(self),
            uid,
            request: request.clone(),
            id,
            extended,
            waiting: Lock::default(),
        });
        let mut answering = self.answering.lock();
        if answering.len() >= MAX_REQUESTS {
            drop(answering);
            self.report_loss(ClusterLoss::Requests);
            return;
        }
        answering.insert(request.clone(), Arc::clone(&asked));
        drop(answering);
        self.local.broadcast_with_ack(publication, id, asked);
        let waits = self.answering.lock().contains_key(&request);
        if let (true, Some(limit), Ok(runtime)) = (waits, limit, Handle::try_current()) {
            let cluster = Arc::downgrade(self);
            runtime.spawn(async move {
                sleep(limit).await;
                if let Some(cluster) = cluster.upgrade() {
                    cluster.abandon(&request);
                }
            });
        }
    }

    /// Stops waiting for the acknowledgements that another server has asked for.
    pub(super) fn abandon(&self, request: &str) {
        let asked = self.answering.lock().remove(request);
        if let Some(asked) = asked {
            let waiting: Vec<_> = asked.waiting.lock().drain().collect();
            self.local.forget_answers(asked.id, &waiting);
        }
    }
}

impl<L: LocalSockets> AskedByPeer<L> {
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
        if !waiting.remove(&id) {
            return;
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
            drop(cluster.answering.lock().remove(&self.request));
        }
    }
}

impl<L: LocalSockets> Answers for AskedByPeer<L> {
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
        self.waiting.lock().extend(ids);
        let body = Body::ClientCount {
            request: self.request.as_str().into(),
            count,
            sids,
        };
        self.send(&cluster, body, &[]);
        if none {
            drop(cluster.answering.lock().remove(&self.request));
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

    fn expect_servers(&self, _: isize) {}
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

impl<L: LocalSockets> fmt::Debug for AskedByPeer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskedByPeer")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
