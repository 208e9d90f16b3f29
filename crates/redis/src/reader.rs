//! The task that reads the streams.

use std::fmt;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamInfoStreamReply, StreamReadReply};
use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use proto::cluster::{BoxFuture, Channel, Failure, Reconnect, StreamEntry, WireError};

use crate::connector::{Connector, RESPONSE_TIMEOUT, connection_config};
use crate::inbound::Inbound;
use crate::settings::{Mode, RETRY};
use crate::streams::Streams;

/// The state of the connection that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The first connection is being made.
    New,
    /// Entries are read as they are written.
    Up,
    /// There is no connection. Entries are read later.
    Down,
}

/// The task that reads the streams. It ends when this is dropped.
pub(crate) struct Reader {
    state: watch::Receiver<Reading>,
    task: AbortHandle,
}

impl Reader {
    /// Starts the task, if messages are exchanged in streams.
    pub(crate) fn start(
        connector: &Connector,
        shared: &Arc<Inbound>,
        runtime: &Handle,
    ) -> Option<Self> {
        let Mode::Streams(options) = &shared.settings.mode else {
            return None;
        };
        let (sender, state) = watch::channel(Reading::New);
        let task = run(
            connector.clone(),
            Arc::clone(shared),
            options.clone(),
            sender,
        );
        let task = runtime.spawn(task).abort_handle();
        Some(Self { state, task })
    }

    pub(crate) fn state(&self) -> Reading {
        *self.state.borrow()
    }

    /// Returns a future that resolves when entries are read. Returns `None` if they are.
    pub(crate) fn confirmation(&self) -> Option<BoxFuture<Result<(), WireError>>> {
        let mut state = self.state.clone();
        (self.state() != Reading::Up).then(|| -> BoxFuture<_> {
            Box::pin(async move {
                let state = state.wait_for(|state| *state != Reading::New).await;
                let reads = state.is_ok_and(|state| *state == Reading::Up);
                if reads { Ok(()) } else { Err(WireError(None)) }
            })
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A stream, and the id of its last entry that has been read.
struct Stream {
    name: String,
    last: Option<EntryId>,
}

/// The id of an entry: its time, and its number among those of that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId {
    pub(crate) time: u64,
    pub(crate) number: u64,
}

impl EntryId {
    /// Parses an id as Redis writes it: two numbers with a hyphen in between.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let (time, number) = id.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let [time, number] = [time, number].map(|text| digits(text).then(|| text.parse().ok()));
        Some(Self {
            time: time??,
            number: number??,
        })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time, self.number)
    }
}

/// Reads the entries that are written after the first connection.
async fn run(
    connector: Connector,
    shared: Arc<Inbound>,
    options: Streams,
    state: watch::Sender<Reading>,
) {
    let names = options.names().into_iter();
    let mut streams: Vec<_> = names.map(|name| Stream { name, last: None }).collect();
    // An outage is logged at its beginning and at its end, not for every attempt.
    let mut reconnect = Reconnect::new(RETRY.0, RETRY.1);
    loop {
        let opened = Instant::now();
        let error = match open(&connector, &options, &mut streams).await {
            Ok(connection) => {
                state.send_replace(Reading::Up);
                if reconnect.connected() {
                    tracing::info!("reading the streams of Redis again");
                }
                read(connection, &options, &mut streams, &shared).await
            }
            Err(error) => error,
        };
        state.send_replace(Reading::Down);
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
    options: &Streams,
    streams: &mut [Stream],
) -> Result<MultiplexedConnection, RedisError> {
    let timeout = options.block_time.saturating_add(RESPONSE_TIMEOUT);
    let config = connection_config().set_response_timeout(Some(timeout));
    let mut connection = connector.open(&config).await?;
    for stream in streams {
        let newest = newest(&mut connection, &stream.name).await?;
        // A stream that is made anew may have lower ids, if the clock of Redis is behind.
        stream.last = Some(stream.last.map_or(newest, |last| last.min(newest)));
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
                deliver(shared, entry);
                stream.last = EntryId::parse(&entry.id).max(stream.last);
            }
        }
    }
}

/// Passes an entry to the server. Entries without a namespace are of other software.
fn deliver(shared: &Inbound, entry: &StreamId) {
    let field = |name| entry.map.get(name).and_then(text);
    let Some(nsp) = field("nsp") else { return };
    let entry = StreamEntry {
        uid: field("uid").unwrap_or_default(),
        kind: field("type")
            .and_then(|kind| kind.parse().ok())
            .unwrap_or_default(),
        data: field("data"),
        nsp,
    };
    // The server counts a message that it cannot read.
    let message = entry.message().unwrap_or_default();
    shared
        .receiver
        .receive(Channel::Namespace { nsp: &entry.nsp }, message);
}

fn text(value: &Value) -> Option<String> {
    String::from_redis_value_ref(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_two_numbers() {
        let id = EntryId::parse("1795421105160-3").unwrap();
        assert_eq!(
            (id.time, id.number, &*id.to_string()),
            (1_795_421_105_160, 3, "1795421105160-3")
        );
        assert!(EntryId::parse("2-0") > EntryId::parse("1-9"));
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "+1-1",
            "1-1-1",
            "1- 1",
            "99999999999999999999-0",
            "$",
        ] {
            assert_eq!(EntryId::parse(bad), None, "{bad}");
        }
    }
}
