//! A socket for unit tests that does nothing.

use std::sync::Arc;

use super::recovery::{Position, SavedSession};
use super::{Link, Scope};
use crate::outbox::Frame;
use proto::Sid;

/// A socket that does nothing. It has a size, because two values without one may share an address.
#[expect(dead_code, reason = "only there to have a size")]
pub(crate) struct StubLink(pub(crate) u8);

impl Link for StubLink {
    type Values = ();

    fn disconnect(self: &Arc<Self>, _: Scope) {}
    fn outgoing(self: &Arc<Self>, _: &Frame) {}
    fn supersede(self: &Arc<Self>) {}
    fn saved(&self, _: Position) -> Option<(Sid, SavedSession)> {
        None
    }
    fn surrender(self: &Arc<Self>) {}
}
