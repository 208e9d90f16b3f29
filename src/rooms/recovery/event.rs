//! An event of a namespace with recovery, and its position among the others.

use bytes::Bytes;

use crate::rooms::Target;
use proto::EncodedArgs;

/// An event for the sockets of a target, before it is encoded.
#[derive(Clone, Debug)]
pub(crate) struct LoggedEvent {
    pub(crate) target: Target,
    /// The name of the event, and its arguments.
    pub(crate) args: EncodedArgs,
}

impl LoggedEvent {
    pub(crate) fn size(&self) -> usize {
        let attachments = self.args.attachments().iter().map(Bytes::len);
        self.args.json().len() + attachments.sum::<usize>()
    }
}

/// The position of an event in a store. It orders the events of all servers. The first one is above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) u128);

impl Position {
    pub(super) const fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The position in a log of the last event that a client has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offset {
    At(u64),
    /// A position that this log cannot find among its events.
    Unknown,
    /// A position in another log: that of a server that no longer exists. The client has seen nothing of this log.
    Elsewhere,
}
