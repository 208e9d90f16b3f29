//! Requests to the other servers, and their answers.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::namespace::{Cluster, Waiter};
use super::selection::{concerns_peers, into_owned, selection};
use crate::adapter::{AdapterError, BoxFuture, LocalSockets};
use crate::metrics::ClusterLoss;
use crate::rooms::Target;
use proto::cluster::{Body, FetchAnswer, Message, Wanted};

/// The time in which other servers have to answer, unless a request has a limit of its own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A request that has been sent.
pub(super) struct Request<L: LocalSockets> {
    id: String,
    cluster: Arc<Cluster<L>>,
    done: oneshot::Receiver<Vec<Message<'static>>>,
}

/// The answers of the other servers.
pub(super) struct Replies {
    pub(super) answers: Vec<Message<'static>>,
    pub(super) missing: usize,
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
        let request = Request {
            id: id.clone(),
            cluster: Arc::clone(self),
            done,
        };
        self.publish(body(id), attachments);
        Some(request)
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
        let selection = into_owned(selection(target, None));
        let request = self.request(&[], |id| Body::Fetch {
            request: id.into(),
            selection,
            wanted,
        });
        Box::pin(async move {
            let request = request.ok_or(AdapterError::TooManyRequests)?;
            let Replies { answers, missing } = request.replies(Some(REQUEST_TIMEOUT)).await;
            if missing > 0 {
                return Err(AdapterError::Timeout { missing });
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
        let peers = self.cluster.peers().await;
        let complete = self.cluster.requests.lock().expect(&self.id, peers);
        if let Some(Waiter { answers, .. }) = complete {
            return Replies {
                answers,
                missing: 0,
            };
        }
        // Without a runtime, there is no timer, and no task in which other servers could answer.
        let waited = match limit {
            _ if Handle::try_current().is_err() => None,
            Some(limit) => timeout(limit, &mut self.done).await.ok(),
            None => Some((&mut self.done).await),
        };
        if let Some(Ok(answers)) = waited {
            let missing = 0;
            return Replies { answers, missing };
        }
        let mut requests = self.cluster.requests.lock();
        let missing = requests.missing(&self.id);
        let waiter = requests.remove(&self.id);
        let answers = waiter.map(|waiter| waiter.answers).unwrap_or_default();
        Replies { answers, missing }
    }
}

impl<L: LocalSockets> Drop for Request<L> {
    fn drop(&mut self) {
        drop(self.cluster.requests.lock().remove(&self.id));
    }
}
