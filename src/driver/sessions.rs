//! The table of connections: sid to the mailbox of its task.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::inbox::{Inbound, Inbox, Refused};
use super::quota::{Quota, TurnedAway};
use super::timers::now;
use crate::adapter::BoxFuture;
use crate::engine::{DisconnectReason, Transport};
use crate::hub::{Client, Connections};
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
    /// Only we add to it, so its hasher need not withstand chosen keys.
    entries: Lock<FxHashMap<Sid, Arc<Entry>>>,
    /// Until when a shutdown waits; none is under way while it is not set.
    shut: OnceLock<Instant>,
    /// Connections whose handshake, task or handlers are still running.
    running: AtomicUsize,
    /// A shutdown has begun, or the last connection is done.
    changed: Notify,
}

/// Counts a connection as running while it lives, from its handshake on.
#[derive(Debug)]
pub(crate) struct Guard {
    shared: Arc<Shared>,
    sid: Sid,
    address: Option<IpAddr>,
    left: AtomicBool,
}

impl Sessions {
    /// For so many connections, in all and of one address.
    pub(crate) fn new(max: usize, max_of_address: usize) -> Self {
        Self(Arc::new(Shared {
            quota: Quota::new(max, max_of_address),
            entries: Lock::default(),
            shut: OnceLock::new(),
            running: AtomicUsize::new(0),
            changed: Notify::new(),
        }))
    }

    pub(crate) fn get(&self, sid: Sid) -> Option<Arc<Entry>> {
        self.0.entries.lock().get(&sid).cloned()
    }

    /// A handshake begins, of a client at this address if that is known.
    pub(crate) fn begin(&self, sid: Sid, address: Option<IpAddr>) -> Result<Guard, TurnedAway> {
        self.0.quota.take(address)?;
        self.0.running.fetch_add(1, Ordering::AcqRel);
        let guard = Guard {
            shared: Arc::clone(&self.0),
            sid,
            address,
            left: AtomicBool::new(false),
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

    /// The session is open.
    pub(super) fn enter(&self, entry: &Arc<Entry>) {
        let entries = &self.shared.entries;
        entries.lock().insert(self.sid, Arc::clone(entry));
        // A shutdown that began since the handshake has not seen it, or both tell it, which does no harm.
        if self.shared.shut.get().is_some() {
            close(entry);
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
        self.leave();
        if self.shared.running.fetch_sub(1, Ordering::AcqRel) == 1 {
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

fn close(entry: &Entry) {
    entry.client.close(DisconnectReason::ServerShuttingDown);
}

impl Connections for Sessions {
    fn shut_down(&self, window: Duration, limit: Duration) {
        let window = window.min(limit);
        self.0.shut.get_or_init(|| Instant::now() + limit);
        self.0.changed.notify_waiters();
        let entries: Vec<_> = self.0.entries.lock().values().cloned().collect();
        if window.is_zero() || entries.len() < 2 {
            entries.iter().for_each(|entry| close(entry));
            return;
        }
        // The table's order is random, so the neighbours of one moment have nothing in common.
        let pause = window / u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut next = Instant::now();
        tokio::spawn(async move {
            for entry in entries {
                close(&entry);
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

    fn closed(&self) -> BoxFuture<()> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            shared.until(|| shared.shut.get().is_some()).await;
            let limit = shared.shut.get().copied().unwrap_or_else(Instant::now);
            agree();
            let done = shared.until(|| shared.running.load(Ordering::Acquire) == 0);
            if tokio::time::timeout_at(limit, done).await.is_err() {
                let connections = shared.running.load(Ordering::Relaxed);
                tracing::warn!(connections, "not all connections were done in time");
            }
        })
    }
}

impl Shared {
    async fn until(&self, condition: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if condition() {
                return;
            }
            changed.await;
        }
    }
}
