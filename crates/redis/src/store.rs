//! The store of a namespace: its events are entries of a stream, and its sessions are keys.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use redis::streams::{StreamId, StreamRangeReply};
use redis::{ErrorKind, Value};
use tokio::time::Instant;

use proto::Sid;
use proto::cluster::{
    Feed, MessageError, Position, PublishError, SavedSession, Store, StoreError, StoreReply,
    StoredEvent, StreamContent, StreamEntry,
};

use crate::destination::{RedisDestination, SessionChange, Token};
use crate::entry_id::EntryId;
use crate::feeds::OpenFeed;
use crate::reader::entry;
use crate::shared_connection::AskError;
use crate::stores::StreamStores;

/// The store of one namespace on one server.
pub(crate) struct StreamStore {
    nsp: Arc<str>,
    uid: Arc<str>,
    /// The number of the store on its server.
    number: u64,
    stream: String,
    shared: Arc<StreamStores>,
}

impl StreamStore {
    pub(crate) fn new(nsp: &str, uid: &str, shared: &Arc<StreamStores>) -> Self {
        Self {
            nsp: nsp.into(),
            uid: uid.into(),
            number: shared.opened.fetch_add(1, Ordering::Relaxed),
            stream: shared.options.of(nsp),
            shared: Arc::clone(shared),
        }
    }

    /// Queues an entry. Returns false, and counts it as lost, if it does not fit.
    fn write(&self, token: Option<Token>, message: Bytes) -> bool {
        let now = Instant::now().into_std();
        let queued = self
            .shared
            .queue
            .push(RedisDestination::Entry(token), message, now);
        if queued == Err(PublishError::Full) {
            self.shared.inbound.receiver.lost(1);
        }
        queued.is_ok()
    }

    fn change(&self, change: SessionChange) {
        let now = Instant::now().into_std();
        let queued = self.shared.sessions.push(change, Bytes::new(), now);
        if queued == Err(PublishError::Full) {
            self.shared.note_unsaved();
        }
    }

    /// Runs commands in a task of the engine, so that its connection belongs to that runtime.
    fn ask<T: Send + 'static>(
        &self,
        ask: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> StoreReply<T> {
        let asked = self.shared.runtime.spawn(ask);
        Box::pin(async move { asked.await? })
    }
}

impl Store for StreamStore {
    fn start(&self, feed: Weak<dyn Feed>) {
        let opened = OpenFeed {
            feed,
            uid: Arc::clone(&self.uid),
            store: self.number,
            stream: self.stream.clone(),
        };
        self.shared.inbound.feeds.open(&self.nsp, opened);
    }

    fn append(&self, token: u64, event: &StoredEvent<'_>) -> bool {
        let Some(message) = StreamEntry::of_event(&self.nsp, &self.uid, event) else {
            self.shared.inbound.receiver.lost(1);
            return false;
        };
        let token = Token {
            store: self.number,
            number: token,
        };
        // While no entries are read, nobody would tell the position.
        let reads = self.shared.reads();
        self.write(reads.then_some(token), message) && reads
    }

    fn offset(&self, position: Position) -> String {
        EntryId::at(position).to_string()
    }

    fn parse(&self, offset: &str) -> Option<Position> {
        EntryId::parse(offset).map(EntryId::position)
    }

    fn look(&self, pid: Sid) -> StoreReply<Option<SavedSession>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let mut get = redis::pipe();
            get.get(shared.key(pid));
            let (text,) = shared.session.ask(&get).await?;
            decode(text, pid)
        })
    }

    fn replay(&self, after: Position) -> StoreReply<Option<Vec<(Position, StoredEvent<'static>)>>> {
        let (shared, nsp, stream) = (
            Arc::clone(&self.shared),
            Arc::clone(&self.nsp),
            self.stream.clone(),
        );
        self.ask(async move {
            let mut after = EntryId::at(after);
            loop {
                let Some(page) = shared.page(&stream, after).await? else {
                    return Ok(None);
                };
                let events: Vec<_> = page.iter().filter_map(|id| event(&nsp, id)).collect();
                match page.last().and_then(|last| EntryId::parse(&last.id)) {
                    // All entries are of other namespaces, or no events.
                    Some(last) if events.is_empty() => after = last,
                    _ => return Ok(Some(events)),
                }
            }
        })
    }

    fn claim(&self, pid: Sid) -> StoreReply<Option<SavedSession>> {
        let shared = Arc::clone(&self.shared);
        let claimed = StreamEntry::of_claim(&self.nsp, &self.uid, pid);
        self.ask(async move {
            let key = shared.key(pid);
            let mut take = redis::pipe();
            take.atomic().get(&key).del(&key).ignore();
            let (text,): (Option<Vec<u8>>,) = shared.session.ask(&take).await?;
            if text.is_some() {
                // A server that does not know yet that it has lost the connection ends the socket.
                let now = Instant::now().into_std();
                let _ = shared
                    .queue
                    .push(RedisDestination::Entry(None), claimed, now);
            }
            decode(text, pid)
        })
    }

    fn save(&self, pid: Sid, session: SavedSession, keep: Duration) {
        self.change(SessionChange::Save { pid, session, keep });
    }

    fn discard(&self, pid: Sid) {
        self.change(SessionChange::Discard { pid });
    }
}

fn decode(text: Option<Vec<u8>>, pid: Sid) -> Result<Option<SavedSession>, StoreError> {
    let session = text.map(|text| SavedSession::decode(&text, pid));
    Ok(session.transpose().map_err(Box::<MessageError>::new)?)
}

/// Returns the event of an entry, if it has one for a namespace.
fn event(nsp: &str, id: &StreamId) -> Option<(Position, StoredEvent<'static>)> {
    let position = EntryId::parse(&id.id)?.position();
    let entry = entry(id).filter(|entry| entry.nsp == nsp)?;
    match entry.content() {
        Ok(StreamContent::Event(event)) => Some((position, event)),
        Ok(_) | Err(_) => None,
    }
}

impl StreamStores {
    /// Reads the entries after an id. Returns `None` if some of them are not stored any more.
    async fn page(
        &self,
        stream: &str,
        after: EntryId,
    ) -> Result<Option<Vec<StreamId>>, StoreError> {
        let mut read = redis::pipe();
        read.atomic();
        read.xrange_count(stream, after.to_string(), after.to_string(), 1);
        let (next, count) = (after.next().to_string(), self.options.read_count);
        read.xrange_count(stream, next, "+", count);
        let (seen, page): (StreamRangeReply, StreamRangeReply) = self.session.ask(&read).await?;
        let complete = if after == EntryId::default() {
            let mut info = redis::pipe();
            info.cmd("XINFO").arg("STREAM").arg(stream);
            is_untrimmed(self.session.ask(&info).await)?
        } else {
            !seen.ids.is_empty()
        };
        Ok(complete.then_some(page.ids))
    }
}

/// Returns true if a stream has all entries that were ever written to it. Servers older than 7 do not tell.
fn is_untrimmed(info: Result<(HashMap<String, Value>,), AskError>) -> Result<bool, AskError> {
    match info {
        Ok((info,)) => {
            let added = info.get("entries-added");
            Ok(added.is_some() && added == info.get("length"))
        }
        // There is no such stream.
        Err(AskError::Redis(error)) if matches!(error.kind(), ErrorKind::Server(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for StreamStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamStore")
            .field("nsp", &self.nsp)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
