//! The table of connections: sid to the mailbox of its task.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::adapter::BoxFuture;
use crate::engine::DisconnectReason;
use crate::hub::{Client, Command, Connections};
use crate::protocol::Sid;
use crate::sync::Lock;
use crate::transport::WebSocket;

/// What a request hands to the task of its connection.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A poll. The answer's receiver is dropped when the client gives up.
    Poll(oneshot::Sender<PollAnswer>),
    /// The body of a POST. It is answered when all its packets have been taken.
    Post(ByteString, oneshot::Sender<PostAnswer>),
    /// A request broke the rules of the transport.
    Broken(DisconnectReason),
    /// A WebSocket that wants to take over.
    Probe(WebSocket),
    /// It did not come to it.
    ProbeFailed,
}

/// How a poll ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PollAnswer {
    Payload(Bytes),
    /// Another poll was pending: 400.
    Overlap,
}

/// How a POST ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostAnswer {
    /// All its packets have been taken, or the session ended while they were.
    Taken,
    /// It holds something that is no packet.
    Undecodable,
}

/// A connection, as requests see it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) client: Arc<Client>,
    pub(crate) mailbox: mpsc::Sender<Inbound>,
    /// A POST is being read.
    pub(crate) posting: AtomicBool,
    /// A WebSocket is taking over, or has.
    pub(crate) upgrading: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    entries: Lock<HashMap<Sid, Arc<Entry>>>,
    /// Until when a shutdown waits; none is under way while it is not set.
    shut: OnceLock<Instant>,
    /// Connections whose task, or one of their handlers, is still running.
    running: AtomicUsize,
    /// A shutdown has begun, or the last connection is done.
    changed: Notify,
}

/// Counts a task as running while it lives.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Shared>);

impl Sessions {
    pub(crate) fn get(&self, sid: Sid) -> Option<Arc<Entry>> {
        self.0.entries.lock().get(&sid).cloned()
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) -> Guard {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        self.0.entries.lock().insert(entry.client.sid, entry);
        Guard(Arc::clone(&self.0))
    }
}

impl Guard {
    /// The session is over: its sid is unknown from now on.
    pub(crate) fn remove(&self, sid: Sid) {
        let entry = self.0.entries.lock().remove(&sid);
        drop(entry);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl Connections for Sessions {
    fn shut_down(&self, window: Duration, limit: Duration) {
        self.0.shut.get_or_init(|| Instant::now() + limit);
        self.0.changed.notify_waiters();
        let entries: Vec<_> = self.0.entries.lock().values().cloned().collect();
        let close = |entry: &Entry| {
            entry
                .client
                .command(Command::Close(DisconnectReason::ServerShuttingDown))
        };
        if window.is_zero() || entries.len() < 2 {
            entries.iter().for_each(|entry| close(entry));
            return;
        }
        // The table's order is random, so the neighbours of one moment have nothing in common.
        let pause = window / u32::try_from(entries.len()).unwrap_or(u32::MAX);
        tokio::spawn(async move {
            for entry in entries {
                close(&entry);
                tokio::time::sleep(pause).await;
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
