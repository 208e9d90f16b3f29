//! The parts that the stores of all namespaces share, and the task that writes sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use redis::Pipeline;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use proto::Sid;
use proto::cluster::PublishQueue;

use crate::connector::Connector;
use crate::destination::{RedisDestination, SessionChange};
use crate::inbound::Inbound;
use crate::reader::ReaderState;
use crate::settings::RETRY;
use crate::shared_connection::{AskError, SharedConnection};
use crate::streams::Streams;

/// The parts that the stores of all namespaces of a server share.
pub(crate) struct StreamStores {
    pub(crate) options: Streams,
    pub(crate) inbound: Arc<Inbound>,
    pub(crate) queue: Arc<PublishQueue<RedisDestination>>,
    pub(crate) sessions: PublishQueue<SessionChange>,
    /// The connection that reads.
    pub(crate) session: SharedConnection,
    pub(crate) runtime: Handle,
    /// The number of stores that have been opened.
    pub(crate) opened: AtomicU64,
    reading: watch::Receiver<ReaderState>,
    /// The number of changes of sessions that had no room in the queue since others were last written.
    unsaved: AtomicUsize,
}

impl StreamStores {
    /// Starts the task that writes sessions. It ends when their queue has been closed.
    pub(crate) fn start(
        connector: &Connector,
        options: &Streams,
        inbound: &Arc<Inbound>,
        queue: &Arc<PublishQueue<RedisDestination>>,
        reading: watch::Receiver<ReaderState>,
        runtime: &Handle,
    ) -> Arc<Self> {
        let stores = Arc::new(Self {
            options: options.clone(),
            inbound: Arc::clone(inbound),
            queue: Arc::clone(queue),
            sessions: PublishQueue::new(options.max_session_bytes),
            session: SharedConnection::new(connector.clone()),
            runtime: runtime.clone(),
            opened: AtomicU64::new(0),
            reading,
            unsaved: AtomicUsize::new(0),
        });
        let writer = SharedConnection::new(connector.clone());
        runtime.spawn(Arc::clone(&stores).write_sessions(writer));
        stores
    }

    /// Returns true while entries are read.
    pub(crate) fn reads(&self) -> bool {
        *self.reading.borrow() == ReaderState::Up
    }

    /// Returns the key of a session.
    pub(crate) fn key(&self, pid: Sid) -> String {
        format!("{}{pid}", self.options.session_prefix)
    }

    /// Records a change of a session that has no room in the queue. The log says so once until others are written.
    pub(crate) fn note_unsaved(&self) {
        if self.unsaved.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                limit = self.options.max_session_bytes,
                "sessions are not saved: too many wait to be sent to Redis; see max_session_bytes"
            );
        }
    }

    async fn write_sessions(self: Arc<Self>, writer: SharedConnection) {
        // An outage is logged at its beginning and at its end, not for every batch.
        let mut lost = 0_usize;
        while let Some(changes) = self.sessions.take().await {
            match self.write(&writer, &changes).await {
                Ok(()) => {
                    lost = lost.saturating_add(self.unsaved.swap(0, Ordering::Relaxed));
                    if lost > 0 {
                        tracing::warn!(sessions = lost, "sessions were not saved");
                    }
                    lost = 0;
                }
                Err(error) => {
                    if lost == 0 {
                        let error = error.reason();
                        tracing::warn!(error, "sessions are not saved");
                    }
                    lost = lost.saturating_add(changes.len());
                    if self.sessions.give_up().is_some() {
                        return;
                    }
                    sleep(RETRY.0).await;
                }
            }
        }
    }

    async fn write(
        &self,
        writer: &SharedConnection,
        changes: &[(SessionChange, Bytes)],
    ) -> Result<(), AskError> {
        let mut commands = redis::pipe();
        changes
            .iter()
            .for_each(|(change, _)| self.add(&mut commands, change));
        writer.ask(&commands).await
    }

    fn add(&self, commands: &mut Pipeline, change: &SessionChange) {
        match change {
            SessionChange::Save { pid, session, keep } => {
                let set = commands
                    .cmd("SET")
                    .arg(self.key(*pid))
                    .arg(session.encode(*pid));
                let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
                set.arg("PX").arg(keep.clamp(1, MAX_KEEP)).ignore();
            }
            SessionChange::Discard { pid } => {
                commands.cmd("DEL").arg(self.key(*pid)).ignore();
            }
        }
    }
}

/// The longest time that Redis keeps a session, in milliseconds: about ten years.
const MAX_KEEP: u64 = 10 * 365 * 24 * 3600 * 1000;
