//! The other servers of a namespace, and the heartbeats by which they know each other.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::namespace::{Cluster, ServerRole};
use crate::adapter::{Answers, BoxFuture, LocalSockets};
use crate::clock::now;
use crate::sync::Lock;
use proto::Sid;
use proto::cluster::{Body, EMITTER, Expected, Peers, Presence};

/// The servers that have sent messages, for an engine that cannot count them.
#[derive(Debug)]
pub(super) struct Heard {
    peers: Lock<Peers>,
    start: Instant,
}

impl Heard {
    pub(super) fn new(presence: Presence) -> Option<Self> {
        match presence {
            Presence::Counted => None,
            Presence::Heartbeats(times) => Some(Self {
                peers: Lock::new(Peers::new(times)),
                start: now(),
            }),
        }
    }

    fn now(&self) -> Duration {
        now().duration_since(self.start)
    }
}

/// A broadcast of this server whose acknowledgements are collected.
pub(super) struct Asking {
    pub(super) answers: Arc<dyn Answers>,
    /// The sockets that each server asks, or `None` if it has not said so yet; if the servers are known.
    servers: Option<HashMap<Box<str>, Option<Vec<Sid>>>>,
}

impl Asking {
    pub(super) fn new(answers: &Arc<dyn Answers>, servers: &Expected) -> Self {
        let servers = match servers {
            Expected::Count(_) => None,
            Expected::Servers(uids) => Some(uids.iter().map(|uid| (uid.clone(), None)).collect()),
        };
        let answers = Arc::clone(answers);
        Self { answers, servers }
    }

    /// Notes which sockets a server asks. Returns true if the server was expected to say so.
    pub(super) fn note(&mut self, uid: &str, sids: &[Sid]) -> bool {
        let Some(servers) = &mut self.servers else {
            return true;
        };
        match servers.get_mut(uid) {
            Some(asked) => asked.replace(sids.to_vec()).is_none(),
            None => {
                servers.insert(uid.into(), Some(sids.to_vec()));
                false
            }
        }
    }
}

impl<L: LocalSockets> Cluster<L> {
    /// Returns the id with which messages are sent. Servers that know each other by their messages do not expect
    /// answers of one that cannot have sockets.
    pub(super) fn sender(&self) -> &str {
        match (self.role, &self.heard) {
            (ServerRole::Observer, Some(_)) => EMITTER,
            _ => &self.server.uid,
        }
    }

    /// Returns the other servers with the namespace.
    pub(super) fn peers(&self) -> BoxFuture<Expected> {
        if let Some(servers) = self.known_peers() {
            return Box::pin(ready(servers));
        }
        let subscribers = self.server.connection.subscribers(self.request_channel());
        let own = usize::from(self.role == ServerRole::Member);
        // Without an answer of the engine, there is nobody to wait for.
        Box::pin(subscribers.map(move |count| {
            let count = count.unwrap_or(own);
            Expected::Count(count.saturating_sub(own))
        }))
    }

    /// Returns the other servers, if they are known by their messages.
    pub(super) fn known_peers(&self) -> Option<Expected> {
        let heard = self.heard.as_ref()?;
        Some(Expected::Servers(heard.peers.lock().uids()))
    }

    /// Takes note of the sender of a message.
    pub(super) fn note_sender(&self, uid: &str, body: &Body<'_>) {
        let Some(heard) = &self.heard else {
            return;
        };
        if matches!(body, Body::Close) {
            if heard.peers.lock().remove(uid) {
                self.forget_server(uid);
            }
            return;
        }
        heard.peers.lock().note(uid, heard.now());
        if matches!(body, Body::InitialHeartbeat) && self.role == ServerRole::Member {
            self.publish(Body::Heartbeat, &[]);
        }
    }

    /// Asks the other servers for heartbeats: messages arrive from now on.
    pub(super) fn greet(&self) {
        if self.heard.is_some() && self.role == ServerRole::Member {
            self.publish(Body::InitialHeartbeat, &[]);
        }
    }

    /// Sends a heartbeat if one is due, and forgets servers that have been silent for too long.
    pub(super) fn pass_time(&self) {
        let Some(heard) = &self.heard else {
            return;
        };
        let passed = heard.peers.lock().tick(heard.now());
        if passed.beat && self.role == ServerRole::Member {
            self.publish(Body::Heartbeat, &[]);
        }
        for uid in &passed.gone {
            tracing::info!(
                nsp = &*self.nsp,
                uid = &**uid,
                "server of the cluster is silent"
            );
            self.forget_server(uid);
        }
    }

    /// Announces that this server leaves the namespace.
    pub(super) fn announce_leave(&self) {
        if self.heard.is_some() && self.role == ServerRole::Member {
            self.publish(Body::Close, &[]);
        }
    }

    /// Stops waiting for a server that is gone, and for its clients.
    fn forget_server(&self, uid: &str) {
        let complete = self.requests.lock().forget_server(uid);
        complete
            .into_iter()
            .for_each(super::namespace::Waiter::finish);
        let mut gone = Vec::new();
        for asking in self.asking.lock().values_mut() {
            let servers = asking.servers.as_mut();
            if let Some(asked) = servers.and_then(|servers| servers.remove(uid)) {
                gone.push((Arc::clone(&asking.answers), asked));
            }
        }
        for (answers, asked) in gone {
            match asked {
                None => answers.expect_servers(-1),
                Some(sids) => sids.into_iter().for_each(|sid| answers.answer(sid, None)),
            }
        }
    }
}
