//! The other servers of a namespace, and the heartbeats by which they know each other.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::namespace::{Cluster, ServerRole, Waiter};
use super::request::REQUEST_TIMEOUT;
use crate::adapter::{AdapterError, Answers, BoxFuture, LocalSockets};
use crate::clock::now;
use crate::metrics::ClusterLoss;
use crate::sync::Lock;
use proto::cluster::{Body, EMITTER, Expected, Peers, Presence, WireError};
use proto::{Args, Sid};

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

/// The maximum number of acknowledgements of a broadcast that wait for the number of sockets of their server.
const MAX_EARLY: usize = 10_000;

/// A broadcast of this server whose acknowledgements are collected.
pub(super) struct Asking {
    pub(super) answers: Arc<dyn Answers>,
    /// The servers that are known, or have said which sockets they ask.
    servers: HashMap<Box<str>, AskedServer>,
    /// True if all servers that will answer are known.
    all_known: bool,
    /// The acknowledgements of servers of Node.js that have arrived before the number of their sockets, with the ids of
    /// these servers. With PostgreSQL, they send both over different connections.
    early: Vec<(Box<str>, Args)>,
}

/// A server that takes part in a broadcast with acknowledgements.
#[derive(Debug, Default)]
enum AskedServer {
    /// It has not said yet which sockets it asks.
    #[default]
    Silent,
    Asks {
        sids: Vec<Sid>,
        /// The number of further sockets that have not answered.
        unnamed: usize,
    },
}

impl Asking {
    pub(super) fn new(answers: &Arc<dyn Answers>, servers: Option<&Expected>) -> Self {
        let known = match servers {
            Some(Expected::Servers(uids)) => Some(uids),
            Some(Expected::Count(_)) | None => None,
        };
        let silent = known.into_iter().flatten();
        let silent = silent.map(|uid| (uid.clone(), AskedServer::Silent));
        Self {
            answers: Arc::clone(answers),
            servers: silent.collect(),
            all_known: known.is_some(),
            early: Vec::new(),
        }
    }

    /// Returns true if a server has not said how many sockets it asks, and may still do so.
    fn expects_number(&self, uid: &str) -> bool {
        let asks = matches!(self.servers.get(uid), Some(AskedServer::Asks { .. }));
        !uid.is_empty() && !asks
    }

    /// Takes the acknowledgements that have arrived before the number of the sockets of their server.
    fn take_early(&mut self, uid: &str) -> Vec<Args> {
        let early = self.early.extract_if(.., |(from, _)| **from == *uid);
        early.map(|(_, args)| args).collect()
    }

    /// Notes which sockets a server asks. Returns by how much this changes the number of the servers that are
    /// expected to say so, or `None` if it has done so before. Servers without ids are not compared.
    fn note(&mut self, uid: &str, sids: &[Sid], unnamed: usize) -> Option<isize> {
        if uid.is_empty() {
            return Some(-1);
        }
        let server = self.servers.get_mut(uid);
        let change = match &server {
            Some(AskedServer::Asks { .. }) => return None,
            // It was not known when the event was sent, but has got it.
            None if self.all_known => 0,
            Some(AskedServer::Silent) | None => -1,
        };
        let asks = AskedServer::Asks {
            sids: sids.to_vec(),
            unnamed,
        };
        self.servers.insert(uid.into(), asks);
        Some(change)
    }

    /// Notes that a socket without a known id has answered.
    fn note_unnamed(&mut self, uid: &str) {
        if let Some(AskedServer::Asks { unnamed, .. }) = self.servers.get_mut(uid) {
            *unnamed = unnamed.saturating_sub(1);
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
    pub(super) fn peers(&self) -> BoxFuture<Result<Expected, WireError>> {
        if let Some(servers) = self.known_peers() {
            return Box::pin(ready(Ok(servers)));
        }
        if self.heard.is_some() {
            // The servers do not tell one without the namespace that they exist.
            return Box::pin(ready(Err(WireError(None))));
        }
        let subscribers = self.server.connection.subscribers(self.request_channel());
        let own = usize::from(self.has_members());
        Box::pin(subscribers.map(move |count| Ok(Expected::Count(count?.saturating_sub(own)))))
    }

    /// Returns the number of servers with the namespace, this one included if it has it.
    pub(super) fn server_count(&self) -> BoxFuture<Result<usize, AdapterError>> {
        let (peers, own) = (self.peers(), usize::from(self.has_members()));
        Box::pin(async move {
            let peers = match Handle::try_current() {
                Ok(_) => timeout(REQUEST_TIMEOUT, peers).await.ok(),
                Err(_) => Some(peers.await),
            };
            match peers {
                Some(Ok(peers)) => Ok(peers.len().saturating_add(own)),
                Some(Err(_)) | None => Err(AdapterError::Engine),
            }
        })
    }

    /// Returns true if this server has the namespace. A part of it that only emits may not be the only one.
    fn has_members(&self) -> bool {
        self.server.routes.of(&self.nsp).newest.is_some()
    }

    /// Passes the sockets that another server asks to the collector of their acknowledgements.
    pub(super) fn take_asked(&self, request: &str, uid: &str, sids: Vec<Sid>, unnamed: usize) {
        let mut all = self.asking.lock();
        let Some(asking) = all.get_mut(request) else {
            return;
        };
        let Some(change) = asking.note(uid, &sids, unnamed) else {
            return;
        };
        let early = asking.take_early(uid);
        early.iter().for_each(|_| asking.note_unnamed(uid));
        let answers = Arc::clone(&asking.answers);
        drop(all);
        answers.asked(sids);
        answers.asked_unnamed(unnamed);
        for args in early {
            answers.answer(Sid::UNNAMED, Some(args));
        }
        answers.expect_servers(change);
    }

    /// Keeps an acknowledgement of a socket without a known id until the number of the sockets of its server arrives.
    /// Returns it if that has arrived, or if nobody waits for it.
    pub(super) fn put_off(&self, request: &str, uid: &str, args: Args) -> Option<Args> {
        let mut all = self.asking.lock();
        let Some(asking) = all
            .get_mut(request)
            .filter(|asking| asking.expects_number(uid))
        else {
            return Some(args);
        };
        if asking.early.len() < MAX_EARLY {
            asking.early.push((uid.into(), args));
        } else {
            drop(all);
            self.report_loss(ClusterLoss::Requests);
        }
        None
    }

    /// Returns the collector of the acknowledgements to a request, for that of a socket of another server.
    pub(super) fn collector(
        &self,
        request: &str,
        uid: &str,
        sid: Option<Sid>,
    ) -> Option<Arc<dyn Answers>> {
        let mut all = self.asking.lock();
        let asking = all.get_mut(request)?;
        if sid.is_none() {
            asking.note_unnamed(uid);
        }
        Some(Arc::clone(&asking.answers))
    }

    /// Returns the other servers, if they are known by their messages.
    pub(super) fn known_peers(&self) -> Option<Expected> {
        let heard = self.heard.as_ref();
        let heard = heard.filter(|_| self.role == ServerRole::Member)?;
        Some(Expected::Servers(heard.peers.lock().uids()))
    }

    /// Takes note of the sender of a message.
    pub(super) fn note_server(&self, uid: &str, body: &Body<'_>) {
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
            if self.may_log() {
                tracing::info!(
                    nsp = &*self.nsp,
                    uid = &**uid,
                    "server of the cluster is silent"
                );
            }
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
        complete.into_iter().for_each(Waiter::finish);
        let mut gone = Vec::new();
        for asking in self.asking.lock().values_mut() {
            asking.early.retain(|(from, _)| **from != *uid);
            if let Some(server) = asking.servers.remove(uid) {
                gone.push((Arc::clone(&asking.answers), server));
            }
        }
        for (answers, server) in gone {
            match server {
                AskedServer::Silent => answers.expect_servers(-1),
                AskedServer::Asks { sids, unnamed } => {
                    sids.into_iter().for_each(|sid| answers.answer(sid, None));
                    answers.left_unnamed(unnamed);
                }
            }
        }
    }
}
