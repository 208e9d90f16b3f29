//! The options of Redis Streams.

use std::time::Duration;

use redis::Pipeline;

use proto::cluster::StreamEntry;

use crate::destination::Token;

/// The options with which servers exchange their messages in streams, those of Node's
/// `@socket.io/redis-streams-adapter`. All servers of a cluster need the same name and number of streams.
#[derive(Clone, Debug)]
#[must_use]
pub struct Streams {
    pub(crate) name: String,
    pub(crate) count: u16,
    pub(crate) max_len: usize,
    pub(crate) read_count: usize,
    pub(crate) block_time: Duration,
    pub(crate) session_prefix: String,
    pub(crate) max_session_bytes: usize,
}

impl Streams {
    /// Returns the default options: one stream, `socket.io`.
    pub fn new() -> Self {
        Self {
            name: "socket.io".to_owned(),
            count: 1,
            max_len: 10_000,
            read_count: 100,
            block_time: Duration::from_secs(5),
            session_prefix: "sio:session:".to_owned(),
            max_session_bytes: 64 * 1024 * 1024,
        }
    }

    /// Sets the name of the stream. Default: `socket.io`. Node's `streamName`.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets the number of streams, over which namespaces are distributed. Default: 1. With more, their names end with a
    /// number, as in `socket.io-0`. Node's `streamCount`.
    ///
    /// Node.js servers write the messages of some namespaces to a stream with a negative number, which they do not
    /// read. Servers of this crate do.
    pub const fn count(mut self, count: u16) -> Self {
        self.count = if count == 0 { 1 } else { count };
        self
    }

    /// Sets the number of entries to which a stream is trimmed, about. Default: 10,000. Node's `maxLen`.
    ///
    /// A server that is away for longer than it takes to write so many entries loses the first of them.
    pub const fn max_len(mut self, max: usize) -> Self {
        self.max_len = max;
        self
    }

    /// Sets the maximum number of entries that are read at a time. Default: 100. Node's `readCount`.
    pub const fn read_count(mut self, count: usize) -> Self {
        self.read_count = if count == 0 { 1 } else { count };
        self
    }

    /// Sets the time that Redis waits for new entries before it answers without any. Default: 5 s. Node's
    /// `blockTimeInMs`.
    ///
    /// It delays no message. A server finds out that Redis is gone without having closed the connection after this
    /// time, and five seconds more.
    pub const fn block_time(mut self, time: Duration) -> Self {
        self.block_time = time;
        self
    }

    /// Sets the prefix of the keys of sessions, to which their private ids are added. Default: `sio:session:`. Node's
    /// `sessionKeyPrefix`.
    pub fn session_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.session_prefix);
        self
    }

    /// Sets the maximum size of the sessions that wait to be written to Redis, in bytes. Default: 64 MiB. Every ten
    /// seconds, those of all sockets of the server are. Beyond it, sessions are not saved, and a warning is logged.
    pub const fn max_session_bytes(mut self, max: usize) -> Self {
        self.max_session_bytes = max;
        self
    }

    /// Returns the time for which Redis waits, in milliseconds. It would wait without end for zero.
    pub(crate) fn block_millis(&self) -> u64 {
        u64::try_from(self.block_time.as_millis())
            .map_or(u64::MAX >> 1, |millis| millis.clamp(1, u64::MAX >> 1))
    }

    /// Returns the names of all streams.
    pub(crate) fn names(&self) -> Vec<String> {
        if self.count == 1 {
            return vec![self.name.clone()];
        }
        let count = i32::from(self.count);
        let numbers = 1 - count..count;
        numbers.map(|number| self.numbered(number)).collect()
    }

    /// Returns the name of the stream of a namespace.
    pub(crate) fn of(&self, nsp: &str) -> String {
        if self.count == 1 {
            return self.name.clone();
        }
        self.numbered(hash(nsp) % i32::from(self.count))
    }

    /// Adds the command that writes an entry.
    pub(crate) fn add(&self, pipeline: &mut Pipeline, entry: &StreamEntry, token: Option<Token>) {
        let command = pipeline.cmd("XADD").arg(self.of(&entry.nsp));
        command.arg("MAXLEN").arg("~").arg(self.max_len).arg("*");
        command
            .arg("uid")
            .arg(&entry.uid)
            .arg("nsp")
            .arg(&entry.nsp);
        command.arg("type").arg(entry.kind);
        if let Some(data) = &entry.data {
            command.arg("data").arg(data);
        }
        if let Some(token) = token {
            command.arg(Token::FIELD).arg(token.to_string());
        }
        command.ignore();
    }

    fn numbered(&self, number: i32) -> String {
        format!("{}-{number}", self.name)
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the number by which Node.js servers choose a stream.
fn hash(nsp: &str) -> i32 {
    nsp.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_have_the_streams_of_node() {
        assert_eq!(Streams::new().of("/orders-0"), "socket.io");
        let three = Streams::new().name("s").count(3);
        let expected = [
            ("/", "s-2"),
            ("/chat", "s-1"),
            ("/admin", "s-1"),
            ("/orders-0", "s--1"),
        ];
        for (nsp, stream) in expected {
            assert_eq!(three.of(nsp), stream, "{nsp}");
            assert!(three.names().contains(&stream.to_owned()));
        }
        assert_eq!(three.names(), ["s--2", "s--1", "s-0", "s-1", "s-2"]);
        assert_eq!(Streams::new().count(0).names(), ["socket.io"]);
    }
}
