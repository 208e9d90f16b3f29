//! The table of connections: sid to the mailbox of its task.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::account::{Account, Share};
use super::inbox::{Inbound, Inbox, Refused};
use super::quota::{Quota, TurnedAway};
use super::shutdown::{Begun, SOON, Shutdown};
use super::timers::now;
use crate::adapter::BoxFuture;
use crate::engine::Transport;
use crate::hub::{Client, Connections, Settings};
use crate::metrics::Counters;
use crate::protocol::Sid;
use crate::sync::Lock;

/// A connection, as requests see it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) client: Arc<Client>,
    pub(super) inbox: Inbox,
    /// A POST is being read.
    pub(crate) posting: AtomicBool,
    /// Some of it has come since the task last asked, and more is to come.
    progress: AtomicBool,
    /// A WebSocket is taking over, or has.
    pub(crate) upgrading: AtomicBool,
}

impl Entry {
    pub(super) fn new(client: Arc<Client>) -> Self {
        let upgrading = client.transport() == Transport::WebSocket;
        Self {
            client,
            inbox: Inbox::default(),
            posting: false.into(),
            progress: false.into(),
            upgrading: upgrading.into(),
        }
    }

    /// Hands a request to the connection's task.
    pub(crate) fn hand(&self, inbound: Inbound) -> Result<(), Refused> {
        self.inbox.push(inbound, now())?;
        self.client.outbox.nudge();
        Ok(())
    }

    /// Some of a POST has come, which is not all yet; or it is.
    pub(crate) fn progress(&self, unfinished: bool) {
        self.progress.store(unfinished, Ordering::Relaxed);
    }

    /// Whether some of an unfinished POST has come since this was last asked.
    pub(super) fn more_of_a_body(&self) -> bool {
        self.progress.swap(false, Ordering::Relaxed)
    }

    /// Resolves when the session is over.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send {
        self.inbox.closed()
    }
}

#[derive(Debug)]
pub(crate) struct Sessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    quota: Quota,
    /// What all connections hold of their clients' input.
    account: Arc<Account>,
    /// Only we add to it, so its hasher need not withstand chosen keys.
    entries: Lock<FxHashMap<Sid, Arc<Entry>>>,
    shutdown: Shutdown,
}

/// Counts a connection as running while it lives, from its handshake on.
#[derive(Debug)]
pub(crate) struct Guard {
    shared: Arc<Shared>,
    sid: Sid,
    address: Option<IpAddr>,
    left: AtomicBool,
    cut_off: AtomicBool,
}

impl Sessions {
    /// For as many connections, and as much of their input, as the settings say.
    pub(crate) fn new(settings: &Settings) -> Self {
        let Settings {
            max_connections,
            max_connections_per_address,
            max_inbound_bytes,
            max_detached_handlers,
            ..
        } = *settings;
        let account = Account::new(max_inbound_bytes, max_detached_handlers);
        Self(Arc::new(Shared {
            quota: Quota::new(max_connections, max_connections_per_address),
            account: Arc::new(account),
            entries: Lock::default(),
            shutdown: Shutdown::default(),
        }))
    }

    pub(crate) fn get(&self, sid: Sid) -> Option<Arc<Entry>> {
        self.0.entries.lock().get(&sid).cloned()
    }

    /// A handshake begins, of a client at this address if that is known.
    pub(crate) fn begin(&self, sid: Sid, address: Option<IpAddr>) -> Result<Guard, TurnedAway> {
        // A shutdown goes before a limit: a proxy tries another server after 503, and not after 429.
        if !self.is_open() {
            return Err(TurnedAway::ShuttingDown);
        }
        self.0.quota.take(address)?;
        let open = self.0.shutdown.enter();
        let guard = Guard {
            shared: Arc::clone(&self.0),
            sid,
            address,
            left: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
        };
        if open {
            Ok(guard)
        } else {
            Err(TurnedAway::ShuttingDown)
        }
    }
}

impl Guard {
    pub(crate) fn sid(&self) -> Sid {
        self.sid
    }

    /// What the connection is going to hold of the server's account.
    pub(super) fn share(&self, counters: &Arc<Counters>) -> Share {
        Share::new(Arc::clone(&self.shared.account), Arc::clone(counters))
    }

    /// The session is open.
    pub(super) fn enter(&self, entry: &Arc<Entry>) {
        let entries = &self.shared.entries;
        entries.lock().insert(self.sid, Arc::clone(entry));
        // A shutdown that began since the handshake has not seen it, or both tell it, which does no harm.
        if let Some(begun) = self.shared.shutdown.get() {
            drain(entry, begun);
        }
    }

    /// A shutdown does not wait any longer for what this connection has under way.
    pub(super) fn cut_off(&self) {
        if !self.cut_off.swap(true, Ordering::AcqRel) {
            self.shared.shutdown.count_cut_off();
        }
    }

    /// Waits for `work` until soon after the limit of a shutdown. Returns false if that came first.
    async fn within_limit(&self, work: impl Future) -> bool {
        let limit = async {
            let begun = self.shared.shutdown.begun().await;
            tokio::time::sleep_until(begun.limit + SOON).await;
        };
        matches!(select(pin!(work), pin!(limit)).await, Either::Left(_))
    }

    /// Waits for a closing handshake, until soon after the limit of a shutdown.
    pub(super) async fn or_limit(&self, handshake: impl Future) {
        self.within_limit(handshake).await;
    }

    /// Waits for `work`, which is cut off soon after the limit of a shutdown.
    pub(super) async fn or_cut_off(&self, work: impl Future) {
        if !self.within_limit(work).await {
            self.cut_off();
        }
    }

    /// The session is over: its sid is unknown from now on.
    pub(super) fn leave(&self) {
        if self.left.swap(true, Ordering::AcqRel) {
            return;
        }
        let entry = self.shared.entries.lock().remove(&self.sid);
        drop(entry);
        self.shared.quota.give_back(self.address);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Its task was dropped with the runtime, or has panicked.
        let open = !self.left.load(Ordering::Acquire)
            && self.shared.entries.lock().contains_key(&self.sid);
        if open && self.shared.shutdown.get().is_some() {
            self.cut_off();
        }
        self.leave();
        self.shared.shutdown.leave();
    }
}

impl Connections for Sessions {
    fn shut_down(&self, window: Duration, limit: Duration) {
        let window = window.min(limit);
        let begun = self.0.shutdown.begin(window, limit);
        let entries: Vec<_> = self.0.entries.lock().values().cloned().collect();
        if window.is_zero() || entries.len() < 2 {
            entries.iter().for_each(|entry| drain(entry, begun));
            return;
        }
        // The table's order is random, so the neighbours of one moment have nothing in common.
        let pause = window / u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut next = Instant::now();
        tokio::spawn(async move {
            for entry in entries {
                drain(&entry, begun);
                next += pause;
                tokio::time::sleep_until(next).await;
            }
        });
    }

    fn is_open(&self) -> bool {
        self.0.shutdown.get().is_none()
    }

    fn count(&self) -> usize {
        self.0.entries.lock().len()
    }

    fn shutting_down(&self) -> BoxFuture<()> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            shared.shutdown.begun().await;
        })
    }

    fn closed(&self) -> BoxFuture<()> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            shared.shutdown.ended().await;
        })
    }
}

/// Closes a connection when its handlers have finished, or at the limit of the shutdown.
fn drain(entry: &Entry, begun: Begun) {
    entry.client.drain(begun.limit.into_std());
}
