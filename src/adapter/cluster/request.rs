//! Requests to the other servers, and their answers.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::namespace::{Cluster, Waiter};
use super::selection::{concerns_peers, selection};
use crate::adapter::{AdapterError, BoxFuture, LocalSockets};
use crate::metrics::ClusterLoss;
use crate::rooms::Target;
use proto::cluster::{Body, Expected, FetchAnswer, Message, Wanted, WireError};

/// The time in which other servers have to answer, unless a request has a limit of its own.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A request that has been sent.
pub(super) struct Request<L: LocalSockets> {
    id: String,
    cluster: Arc<Cluster<L>>,
    /// The servers when the request was sent, unless it knows them already.
    peers: Option<BoxFuture<Result<Expected, WireError>>>,
    done: oneshot::Receiver<Vec<Message<'static>>>,
}

/// The answers of the other servers.
pub(super) struct Replies {
    pub(super) answers: Vec<Message<'static>>,
    /// The number of servers that have not answered, or `None` if the engine has not told how many there are.
    pub(super) missing: Option<usize>,
}

impl<L: LocalSockets> Cluster<L> {
    /// Sends a request to the other servers. Returns `None` if too many are pending.
    pub(super) fn request(
        self: &Arc<Self>,
        attachments: &[bytes::Bytes],
        body: impl FnOnce(String) -> Body<'static>,
    ) -> Option<Request<L>> {
        self.await_answers();
        let id = self.server.request_id();
        let (sender, done) = oneshot::channel();
        let waiter = Waiter {
            answers: Vec::new(),
            done: sender,
        };
        if self.requests.lock().insert(&id, waiter).is_err() {
            self.report_loss(ClusterLoss::Requests);
            return None;
        }
        let known = self.known_peers();
        let is_known = known.is_some();
        let complete = known.and_then(|servers| self.requests.lock().expect(&id, servers));
        self.publish(body(id.clone()), attachments);
        if let Some(waiter) = complete {
            waiter.finish();
        }
        Some(Request {
            peers: (!is_known).then(|| self.peers()),
            id,
            cluster: Arc::clone(self),
            done,
        })
    }

    /// Requests facts of the other servers.
    pub(super) fn fetch_from_peers(
        self: &Arc<Self>,
        target: &Target,
        wanted: Wanted,
    ) -> BoxFuture<Result<Vec<FetchAnswer<'static>>, AdapterError>> {
        if !concerns_peers(target) {
            return Box::pin(ready(Ok(Vec::new())));
        }
        let selection = selection(target, None).into_owned();
        let request = self.request(&[], |id| Body::Fetch {
            request: id.into(),
            selection,
            wanted,
        });
        Box::pin(async move {
            let request = request.ok_or(AdapterError::TooManyRequests)?;
            let Replies { answers, missing } = request.replies(Some(REQUEST_TIMEOUT)).await;
            match missing {
                Some(0) => {}
                Some(missing) => return Err(AdapterError::Timeout { missing }),
                None => return Err(AdapterError::Engine),
            }
            let answers = answers
                .into_iter()
                .filter_map(|message| match message.body {
                    Body::FetchAnswer { answer, .. } => Some(answer),
                    _ => None,
                });
            Ok(answers.collect())
        })
    }
}

impl<L: LocalSockets> Request<L> {
    /// Waits for the answers of all other servers, or until the limit.
    pub(super) async fn replies(mut self, limit: Option<Duration>) -> Replies {
        let complete = self.complete();
        let complete = match limit {
            Some(limit) if Handle::try_current().is_ok() => {
                timeout(limit, complete).await.ok().flatten()
            }
            _ => complete.await,
        };
        match complete {
            Some(answers) => Replies {
                answers,
                missing: Some(0),
            },
            None => self.take(),
        }
    }

    /// Waits for the answers of all other servers. Returns `None` if the engine does not tell how many there are.
    async fn complete(&mut self) -> Option<Vec<Message<'static>>> {
        if let Some(peers) = &mut self.peers {
            let peers = peers.await.ok()?;
            self.peers = None;
            let complete = self.cluster.requests.lock().expect(&self.id, peers);
            if let Some(Waiter { answers, .. }) = complete {
                return Some(answers);
            }
        }
        // Without a runtime, there is no timer, and no task in which other servers could answer.
        if Handle::try_current().is_err() {
            return self.done.try_recv().ok();
        }
        (&mut self.done).await.ok()
    }

    /// Ends the request, and returns the answers that have arrived.
    fn take(&mut self) -> Replies {
        let mut requests = self.cluster.requests.lock();
        let missing = requests.missing(&self.id);
        let waiter = requests.remove(&self.id);
        drop(requests);
        if let Some(Waiter { answers, .. }) = waiter {
            return Replies { answers, missing };
        }
        // The last answer has arrived at this moment.
        let answers = self.done.try_recv().unwrap_or_default();
        let missing = Some(0);
        Replies { answers, missing }
    }
}

impl<L: LocalSockets> Drop for Request<L> {
    fn drop(&mut self) {
        drop(self.cluster.requests.lock().remove(&self.id));
    }
}
