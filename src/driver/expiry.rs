//! Sockets that end at a time which the application has set.

use std::task::Context;
use std::time::Instant;

use super::task::ConnectionTask;
use super::timers::{Deadline, now};
use crate::socket::{Refusal, Socket};

impl ConnectionTask {
    /// Sets the deadline to the first time at which a socket of the connection expires.
    pub(super) fn set_expiry(&mut self) {
        let sockets = self.dispatch.router.sockets();
        let present = sockets.filter(|socket| socket.ended().is_none());
        let times = present.filter_map(Socket::expiry);
        // A socket that expires before it is admitted is refused when middleware have admitted it.
        let next = times.filter(|at| *at > self.now).min();
        self.timers.set(Deadline::Expiry, next);
    }

    /// Ends the sockets whose time is over.
    pub(super) fn check_expiry(&mut self, cx: &mut Context<'_>) {
        let sockets = self.dispatch.router.sockets();
        let expired: Vec<_> = sockets
            .filter(|socket| has_expired(socket, self.now))
            .cloned()
            .collect();
        for socket in expired {
            if socket.expire()
                && let Err(violation) = self.dispatch.left_by_server(&socket, cx)
            {
                self.violated(&violation, cx);
            }
        }
        self.set_expiry();
    }
}

fn has_expired(socket: &Socket, now: Instant) -> bool {
    socket.expiry().is_some_and(|at| at <= now)
}

/// Refuses a socket that has expired before it is admitted.
pub(super) fn unexpired(socket: &Socket) -> Result<(), Refusal> {
    match socket.expiry() {
        Some(at) if at <= now() => Err(Refusal::new("expired")),
        _ => Ok(()),
    }
}
