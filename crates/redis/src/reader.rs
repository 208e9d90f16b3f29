//! The task that reads the streams.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamInfoStreamReply, StreamReadReply};
use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use proto::cluster::{
    Arrival, BoxFuture, Channel, Failure, Reconnect, StreamContent, StreamEntry, WireError,
};
use proto::panics::guarded;

use crate::connector::{Connector, RESPONSE_TIMEOUT, connection_config};
use crate::destination::Token;
use crate::entry_id::EntryId;
use crate::feeds::Feeds;
use crate::inbound::Inbound;
use crate::settings::{Mode, RETRY};
use crate::streams::Streams;

/// The state of the connection that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReaderState {
    /// The first connection is being made.
    New,
    /// Entries are read as they are written.
    Up,
    /// There is no connection. Entries are read later.
    Down,
}

/// The task that reads the streams. It ends when this is dropped.
pub(crate) struct StreamReader {
    state: watch::Receiver<ReaderState>,
    task: AbortHandle,
}

impl StreamReader {
    /// Starts the task, if messages are exchanged in streams.
    pub(crate) fn start(
        connector: &Connector,
        shared: &Arc<Inbound>,
        runtime: &Handle,
    ) -> Option<Self> {
        let Mode::Streams(options) = &shared.settings.mode else {
            return None;
        };
        let (sender, state) = watch::channel(ReaderState::New);
        let task = run(
            connector.clone(),
            Arc::clone(shared),
            options.clone(),
            sender,
        );
        let task = runtime.spawn(task).abort_handle();
        Some(Self { state, task })
    }

    /// Returns the state, as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<ReaderState> {
        self.state.clone()
    }

    pub(crate) fn state(&self) -> ReaderState {
        *self.state.borrow()
    }

    /// Returns a future that resolves when entries are read. Returns `None` if they are.
    pub(crate) fn confirmation(&self) -> Option<BoxFuture<Result<(), WireError>>> {
        let mut state = self.state.clone();
        (self.state() != ReaderState::Up).then(|| -> BoxFuture<_> {
            Box::pin(async move {
                let state = state.wait_for(|state| *state != ReaderState::New).await;
                let reads = state.is_ok_and(|state| *state == ReaderState::Up);
                if reads { Ok(()) } else { Err(WireError(None)) }
            })
        })
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A stream, and the id of its last entry that has been read.
struct Stream {
    name: String,
    last: Option<EntryId>,
}

/// Reads the entries that are written after the first connection.
async fn run(
    connector: Connector,
    shared: Arc<Inbound>,
    options: Streams,
    state: watch::Sender<ReaderState>,
) {
    let names = options.names().into_iter();
    let mut streams: Vec<_> = names.map(|name| Stream { name, last: None }).collect();
    // An outage is logged at its beginning and at its end, not for every attempt.
    let mut reconnect = Reconnect::new(RETRY.0, RETRY.1);
    loop {
        let opened = Instant::now();
        let error = match open(&connector, &shared.feeds, &options, &mut streams).await {
            Ok(connection) => {
                state.send_replace(ReaderState::Up);
                if reconnect.connected() {
                    tracing::info!("reading the streams of Redis again");
                }
                read(connection, &options, &mut streams, &shared).await
            }
            Err(error) => error,
        };
        state.send_replace(ReaderState::Down);
        let error = error.to_string();
        let Failure { delay, begins } = reconnect.failed(opened.elapsed());
        if begins {
            tracing::warn!(
                error,
                "no connection to Redis: messages of other servers arrive later"
            );
        } else {
            tracing::debug!(error, ?delay, "no connection to Redis");
        }
        sleep(delay).await;
    }
}

/// Connects, and finds the last entries of streams that have not been read yet.
async fn open(
    connector: &Connector,
    feeds: &Feeds,
    options: &Streams,
    streams: &mut [Stream],
) -> Result<MultiplexedConnection, RedisError> {
    let timeout = options.block_time.saturating_add(RESPONSE_TIMEOUT);
    let config = connection_config().set_response_timeout(Some(timeout));
    let mut connection = connector.open(&config).await?;
    for stream in streams {
        let newest = newest(&mut connection, &stream.name).await?;
        // A stream that is made anew may have lower ids, if the clock of Redis is behind.
        let last = stream.last.map_or(newest, |last| last.min(newest));
        stream.last = Some(last);
        feeds.begin(&stream.name, last);
    }
    Ok(connection)
}

/// Returns the id of the last entry that a stream has had.
async fn newest(connection: &mut MultiplexedConnection, name: &str) -> Result<EntryId, RedisError> {
    let mut info = redis::cmd("XINFO");
    info.arg("STREAM").arg(name);
    let info: StreamInfoStreamReply = match info.query_async(connection).await {
        Ok(info) => info,
        // There is no such stream yet.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => {
            return Ok(EntryId::default());
        }
        Err(error) => return Err(error),
    };
    Ok(EntryId::parse(&info.last_generated_id).unwrap_or_default())
}

/// Reads entries until the connection is lost.
async fn read(
    mut connection: MultiplexedConnection,
    options: &Streams,
    streams: &mut [Stream],
    shared: &Inbound,
) -> RedisError {
    loop {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(options.read_count);
        read.arg("BLOCK").arg(options.block_millis());
        read.arg("STREAMS");
        for stream in &*streams {
            read.arg(&stream.name);
        }
        for stream in &*streams {
            read.arg(stream.last.unwrap_or_default().to_string());
        }
        let reply: Option<StreamReadReply> = match read.query_async(&mut connection).await {
            Ok(reply) => reply,
            Err(error) => return error,
        };
        for key in reply.into_iter().flat_map(|reply| reply.keys) {
            let stream = streams.iter_mut().find(|stream| stream.name == key.key);
            let Some(stream) = stream else { continue };
            for entry in &key.ids {
                let Some(id) = EntryId::parse(&entry.id) else {
                    continue;
                };
                stream.last = Some(id);
                // Hooks of users may panic.
                if let Err(panicked) = guarded(|| deliver(shared, &stream.name, id, entry)) {
                    let message = panicked.message();
                    tracing::error!(
                        message,
                        "panic while an event of another server was delivered"
                    );
                }
            }
        }
    }
}

/// Returns the fields of an entry. Without a namespace, it is one of other software.
pub(crate) fn entry(entry: &StreamId) -> Option<StreamEntry> {
    let field = |name| entry.map.get(name).and_then(text);
    Some(StreamEntry {
        nsp: field("nsp")?,
        uid: field("uid").unwrap_or_default(),
        kind: { field("type") }
            .and_then(|kind| kind.parse().ok())
            .unwrap_or_default(),
        data: field("data"),
    })
}

/// Passes an entry to the server, or to the namespace that has a store.
fn deliver(shared: &Inbound, stream: &str, id: EntryId, entry: &StreamId) {
    let token = entry.map.get(Token::FIELD).and_then(text);
    let Some(entry) = self::entry(entry) else {
        return;
    };
    let open = shared.feeds.read(stream, id, &entry.nsp);
    if let Some(open) = open
        && let Some(feed) = open.feed.upgrade()
    {
        let token = token.and_then(|token| Token::parse(&token));
        let own = *entry.uid == *open.uid;
        match (token, entry.content()) {
            (Some(token), _) if own && token.store == open.store => {
                feed.arrived(id.position(), Arrival::Own(token.number));
                return;
            }
            (_, Ok(StreamContent::Event(_) | StreamContent::Mark)) if own => {
                feed.arrived(id.position(), Arrival::Delivered);
                return;
            }
            (_, Ok(StreamContent::Event(event))) => {
                feed.arrived(id.position(), Arrival::Foreign(event));
                return;
            }
            (_, Ok(StreamContent::Claim(pid))) => {
                if !own {
                    feed.claimed(pid);
                }
                return;
            }
            (_, Ok(StreamContent::Mark)) => return,
            _ => {}
        }
    }
    // The server counts a message that it cannot read.
    let message = entry.message().unwrap_or_default();
    let channel = Channel::Namespace { nsp: &entry.nsp };
    shared.receiver.receive(channel, message);
}

fn text(value: &Value) -> Option<String> {
    String::from_redis_value_ref(value).ok()
}
