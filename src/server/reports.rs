//! Reports of faults that belong to no socket. They are counted, and logged within the limits of the server.

use http::StatusCode;

use super::Server;
use crate::logs::{Cause, TypeName};
use crate::metrics::Counted;
use crate::panics::Panicked;

impl Server {
    /// Counts and logs a panic in a hook of the application.
    pub(crate) fn report_panic(&self, hook: &'static str, panicked: &Panicked) {
        self.counters.add_for(Counted::HookPanics, hook, 1);
        if self.logs.allow() {
            tracing::error!(hook, panic = panicked.message(), "hook panicked");
        }
    }

    /// Reports a failure of `allow_request`, which runs before there is a connection.
    pub(crate) fn report_not_allowed(&self, handler: TypeName, status: StatusCode, error: &str) {
        let cause = Cause::AllowRequest;
        self.counters
            .add_for(Counted::ServerErrors, cause.as_str(), 1);
        if self.logs.allow_refusal() {
            let (handler, status) = (handler(), status.as_u16());
            tracing::warn!(handler, status, error, "{}", cause.words());
        }
    }
}
