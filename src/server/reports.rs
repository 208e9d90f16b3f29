//! Reports of faults that belong to no socket. They are counted, and logged within the limits of the server.

use http::StatusCode;

use super::Server;
use crate::logs::TypeName;
use crate::metrics::{Counted, FaultCause, Hook};
use crate::panics::Panicked;

impl Server {
    /// Counts and logs a panic in a hook of the application.
    pub(crate) fn report_panic(&self, hook: Hook, panicked: &Panicked) {
        self.counters.add(Counted::HookPanics(hook), 1);
        if self.logs.allow_fault() {
            tracing::error!(
                hook = hook.as_str(),
                panic = panicked.message(),
                "hook panicked"
            );
        }
    }

    /// Reports a failure of `allow_request`, which runs before there is a connection.
    pub(crate) fn report_not_allowed(&self, handler: TypeName, status: StatusCode, error: &str) {
        let cause = FaultCause::AllowRequest;
        self.counters.add(Counted::ServerErrors(cause), 1);
        if self.logs.allow_refusal() {
            let (handler, status) = (handler(), status.as_u16());
            tracing::warn!(handler, status, error, "{}", cause.message());
        }
    }
}
