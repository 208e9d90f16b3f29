//! The table of connections: sid to the mailbox of its task.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{Either, select};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::account::{Account, Share};
use super::inbox::{Inbound, Inbox, Refused};
use super::quota::{Quota, TurnedAway};
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
    /// Of a shutdown that has begun.
    shut: OnceLock<Shutdown>,
    /// Connections that a shutdown has not waited for any longer.
    cut_off: AtomicUsize,
    /// The end of the shutdown has been logged.
    reported: AtomicBool,
    /// Connections whose handshake, task or handlers are still running.
    running: AtomicUsize,
    /// A shutdown has begun, or the last connection is done.
    changed: Notify,
}

/// A shutdown that has begun.
#[derive(Clone, Copy, Debug)]
struct Shutdown {
    begun: Instant,
    /// When handlers that are still under way are dropped.
    limit: Instant,
    /// How many connections were running when it began.
    connections: usize,
}

/// How long what is left of a connection that was cut off may take after the limit.
const SOON: Duration = Duration::from_millis(500);

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
            shut: OnceLock::new(),
            cut_off: AtomicUsize::new(0),
            reported: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            changed: Notify::new(),
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
        self.0.running.fetch_add(1, Ordering::AcqRel);
        let guard = Guard {
            shared: Arc::clone(&self.0),
            sid,
            address,
            left: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
        };
        agree();
        if self.is_open() {
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
        if let Some(shutdown) = self.shared.shut.get() {
            shutdown.drain(entry);
        }
    }

    /// A shutdown does not wait any longer for what this connection has under way.
    pub(super) fn cut_off(&self) {
        if !self.cut_off.swap(true, Ordering::AcqRel) {
            self.shared.cut_off.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits for `work` until soon after the limit of a shutdown. Returns false if that came first.
    async fn within_limit(&self, work: impl Future) -> bool {
        let limit = async {
            let shutdown = self.shared.begun().await;
            tokio::time::sleep_until(shutdown.limit + SOON).await;
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
        if open && self.shared.shut.get().is_some() {
            self.cut_off();
        }
        self.leave();
        if self.shared.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            agree();
            if let Some(shutdown) = self.shared.shut.get() {
                self.shared.report(shutdown);
            }
            self.shared.changed.notify_waiters();
        }
    }
}

/// Stands between what a thread tells and what it asks. A handshake says that it runs and asks for a shutdown; who waits for
/// the end knows of the shutdown and asks what runs. Without an order of all threads both could see nothing: the handshake
/// would be let in, and not be waited for.
fn agree() {
    fence(Ordering::SeqCst);
}

impl Shutdown {
    fn drain(&self, entry: &Entry) {
        entry.client.drain(self.limit.into_std());
    }
}

impl Connections for Sessions {
    fn shut_down(&self, window: Duration, limit: Duration) {
        let window = window.min(limit);
        let shutdown = self.0.shut(window, limit);
        let entries: Vec<_> = self.0.entries.lock().values().cloned().collect();
        if window.is_zero() || entries.len() < 2 {
            entries.iter().for_each(|entry| shutdown.drain(entry));
            return;
        }
        // The table's order is random, so the neighbours of one moment have nothing in common.
        let pause = window / u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut next = Instant::now();
        tokio::spawn(async move {
            for entry in entries {
                shutdown.drain(&entry);
                next += pause;
                tokio::time::sleep_until(next).await;
            }
        });
    }

    fn is_open(&self) -> bool {
        self.0.shut.get().is_none()
    }

    fn count(&self) -> usize {
        self.0.entries.lock().len()
    }

    fn shutting_down(&self) -> BoxFuture<()> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            shared.begun().await;
        })
    }

    fn closed(&self) -> BoxFuture<()> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let shutdown = shared.begun().await;
            agree();
            let done = shared.until(|| (shared.running.load(Ordering::Acquire) == 0).then_some(()));
            // A handler that blocks its thread cannot be dropped.
            if tokio::time::timeout_at(shutdown.limit + 2 * SOON, done)
                .await
                .is_err()
            {
                let running = shared.running.load(Ordering::Relaxed);
                shared.cut_off.fetch_add(running, Ordering::Relaxed);
            }
            shared.report(&shutdown);
        })
    }
}

impl Shared {
    /// A shutdown begins, unless one has.
    fn shut(&self, window: Duration, limit: Duration) -> Shutdown {
        let mut first = false;
        let shutdown = *self.shut.get_or_init(|| {
            first = true;
            let begun = Instant::now();
            Shutdown {
                begun,
                limit: begun + limit,
                connections: self.running.load(Ordering::Relaxed),
            }
        });
        if first {
            let connections = shutdown.connections;
            tracing::info!(
                connections,
                ?window,
                ?limit,
                "shutting down: draining connections"
            );
            agree();
            if self.running.load(Ordering::Acquire) == 0 {
                self.report(&shutdown);
            }
            self.changed.notify_waiters();
        }
        shutdown
    }

    /// Logs the end of a shutdown, once.
    fn report(&self, shutdown: &Shutdown) {
        if self.reported.swap(true, Ordering::AcqRel) {
            return;
        }
        let cut_off = self.cut_off.load(Ordering::Relaxed);
        let closed = shutdown.connections.saturating_sub(cut_off);
        let took = shutdown.begun.elapsed();
        if cut_off == 0 {
            tracing::info!(
                closed,
                cut_off,
                ?took,
                "shut down: all connections are closed"
            );
        } else {
            tracing::warn!(
                closed,
                cut_off,
                ?took,
                "shut down: connections were cut off; see drain_limit"
            );
        }
    }

    /// Resolves when a shutdown begins.
    async fn begun(&self) -> Shutdown {
        self.until(|| self.shut.get().copied()).await
    }

    async fn until<T>(&self, condition: impl Fn() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = condition() {
                return found;
            }
            changed.await;
        }
    }
}
