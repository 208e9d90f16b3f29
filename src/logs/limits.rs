//! Limits of the warnings and errors that clients cause: a number per minute for each connection, one for the server,
//! and one for faults of the application.
//!
//! Check the limit before such a record is written:
//!
//! ```ignore
//! if socket.client().logs.allow() {
//!     tracing::warn!(socket = %socket.id(), limit, "room not joined: too many rooms");
//! }
//! ```
//!
//! Records at `debug` and below are not limited. Records that are left out are counted, and reported in one line.

use std::sync::Arc;

use crate::clock::now;
use crate::log_limit::{LogLimit, Verdict};
use crate::metrics::{Counted, Counters};

/// The limit of a server.
#[derive(Debug)]
pub(crate) struct ServerLogs {
    counters: Arc<Counters>,
    limit: LogLimit,
    /// The limit of faults of the application, for which warnings about clients leave room.
    faults: LogLimit,
    /// The limit of refused requests, within that of the server.
    refusals: LogLimit,
    per_connection: u32,
}

/// The limit of one connection, within that of its server.
#[derive(Debug)]
pub(crate) struct Logs {
    limit: LogLimit,
    server: Arc<ServerLogs>,
}

impl ServerLogs {
    /// Creates the limits, in records per minute.
    pub(crate) fn new(counters: Arc<Counters>, per_connection: u32, in_all: u32) -> Self {
        Self {
            counters,
            limit: LogLimit::new(in_all),
            faults: LogLimit::new(in_all),
            refusals: LogLimit::new(per_connection),
            per_connection,
        }
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Returns true if one more record that belongs to no connection may be written.
    pub(crate) fn allow(&self) -> bool {
        self.allow_within(&self.limit)
    }

    /// Returns true if one more record of a fault of the application that belongs to no connection may be written.
    pub(crate) fn allow_fault(&self) -> bool {
        self.allow_within(&self.faults)
    }

    fn allow_within(&self, limit: &LogLimit) -> bool {
        let is_allowed = is_allowed(limit.next(now()), |notice| self.log_notice(notice));
        is_allowed || self.leave_out()
    }

    /// Returns true if one more record of a refused request may be written. All refusals together have the limit of one
    /// connection, since they cost a client nothing and would leave no room for other records.
    pub(crate) fn allow_refusal(&self) -> bool {
        let is_allowed = is_allowed(self.refusals.next(now()), |_| {});
        (is_allowed || self.leave_out()) && self.allow()
    }

    /// Returns true if one more notice about the records of a connection may be written.
    fn allow_notice(&self) -> bool {
        is_allowed(self.limit.next_notice(now()), |notice| {
            self.log_notice(notice);
        })
    }

    /// Counts a record that is left out, and returns false.
    fn leave_out(&self) -> bool {
        self.counters.add(Counted::LogsLeftOut, 1);
        false
    }

    fn log_notice(&self, notice: Notice) {
        let limit = self.limit.max();
        match notice {
            Notice::LeftOut(left_out) => {
                tracing::warn!(left_out, "log records of this server were left out");
            }
            Notice::LeavesOut => tracing::warn!(
                limit,
                "further records of this server are left out for a minute; see max_log_records"
            ),
        }
    }
}

impl Logs {
    pub(crate) fn new(server: Arc<ServerLogs>) -> Self {
        let limit = LogLimit::new(server.per_connection);
        Self { limit, server }
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.server.counters
    }

    /// Returns true if one more record of this connection may be written.
    pub(crate) fn allow(&self) -> bool {
        self.allow_here() && self.server.allow()
    }

    /// Returns true if one more record of this connection about a fault of the application may be written.
    pub(crate) fn allow_fault(&self) -> bool {
        self.allow_here() && self.server.allow_fault()
    }

    fn allow_here(&self) -> bool {
        let is_allowed = is_allowed(self.limit.next(now()), |notice| self.log_notice(notice));
        is_allowed || self.server.leave_out()
    }

    /// Reports the records that were left out and not reported yet, when the connection has ended.
    pub(crate) fn end(&self) {
        match self.limit.take_left_out() {
            0 => {}
            left_out => self.log_notice(Notice::LeftOut(left_out)),
        }
    }

    fn log_notice(&self, notice: Notice) {
        if !self.server.allow_notice() {
            return;
        }
        let limit = self.limit.max();
        match notice {
            Notice::LeftOut(left_out) => {
                tracing::warn!(left_out, "log records of this connection were left out");
            }
            Notice::LeavesOut => tracing::warn!(
                limit,
                "further records of this connection are left out for a minute; see max_log_records_per_connection"
            ),
        }
    }
}

/// A notice about records that are not in the log.
#[derive(Clone, Copy)]
enum Notice {
    /// This number of records was left out.
    LeftOut(u64),
    /// Records are left out from now on.
    LeavesOut,
}

/// Returns true if a record may be written by the decision of a limit. Calls `notify` first if there is a notice to
/// write.
fn is_allowed(verdict: Verdict, notify: impl FnOnce(Notice)) -> bool {
    match verdict {
        Verdict::Write => return true,
        Verdict::WriteAfter(left_out) => {
            notify(Notice::LeftOut(left_out));
            return true;
        }
        Verdict::LeaveOutFirst => notify(Notice::LeavesOut),
        Verdict::LeaveOut => {}
    }
    false
}

/// Returns true if one more record that belongs to no server may be written. The limit is shared by the whole process.
pub(crate) fn may_log() -> bool {
    static LIMIT: LogLimit = LogLimit::new(600);
    is_allowed(LIMIT.next(now()), |notice| match notice {
        Notice::LeftOut(left_out) => {
            tracing::warn!(left_out, "log records of this process were left out");
        }
        Notice::LeavesOut => {
            tracing::warn!("further records of this process are left out for a minute");
        }
    })
}

/// Logs a request through a handle that was never passed to `build_into`, or has outlived its server.
pub(crate) fn log_no_server() {
    static LIMIT: LogLimit = LogLimit::new(10);
    if is_allowed(LIMIT.next(now()), |_| {}) {
        tracing::warn!(
            "a request is refused with 503: its `SocketIo` has no server; \
             give the handle to `build_into` and keep the result"
        );
    }
}

/// Logs an emit through a handle that was never passed to `build_into`, or has outlived its server.
pub(crate) fn log_emit_without_server(nsp: &str) {
    static LIMIT: LogLimit = LogLimit::new(10);
    if is_allowed(LIMIT.next(now()), |_| {}) {
        tracing::warn!(
            nsp,
            "nothing is sent: this `SocketIo` has no server; \
             give the handle to `build_into` and keep the result"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Family;

    fn server(per_connection: u32, in_all: u32) -> Arc<ServerLogs> {
        let counters = Arc::new(Counters::new(1));
        Arc::new(ServerLogs::new(counters, per_connection, in_all))
    }

    fn connection(server: &Arc<ServerLogs>) -> Logs {
        Logs::new(Arc::clone(server))
    }

    fn left_out(server: &ServerLogs) -> u64 {
        let all = server.counters.numbers(Family::LogsLeftOut);
        all.map(|(_, number)| number).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_log_so_much_in_a_minute() {
        let server = server(3, 100);
        let (one, other) = (connection(&server), connection(&server));
        assert_eq!((0..20_000).filter(|_| one.allow()).count(), 3);
        assert!(other.allow(), "it has a limit of its own");
        assert_eq!(left_out(&server), 19_997);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(one.allow());
    }

    #[tokio::test(start_paused = true)]
    async fn many_connections_together_may_log_so_much_in_a_minute() {
        let server = server(3, 10);
        let written = (0..1000).filter(|_| connection(&server).allow()).count();
        assert_eq!(written, 10);
        assert_eq!(left_out(&server), 990);
        assert!(
            connection(&server).allow_fault(),
            "faults have a limit of their own"
        );
        assert!(server.allow_fault());
        let written = (0..1000).filter(|_| connection(&server).allow_fault());
        assert_eq!(written.count(), 8);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(connection(&server).allow());
    }
}
