//! An event of a namespace with recovery.

use bytes::Bytes;

use super::store::StoredEvent;
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
    /// Returns the event as a store keeps it.
    pub(crate) fn stored(&self) -> StoredEvent<'_> {
        StoredEvent {
            args: self.args.json().into(),
            attachments: self.args.attachments().into(),
            selection: self.target.selection(),
            local: self.target.local,
        }
    }

    pub(crate) fn size(&self) -> usize {
        let attachments = self.args.attachments().iter().map(Bytes::len);
        self.args.json().len() + attachments.sum::<usize>()
    }
}

impl From<StoredEvent<'_>> for LoggedEvent {
    fn from(event: StoredEvent<'_>) -> Self {
        Self {
            target: Target {
                local: event.local,
                ..event.selection.into()
            },
            args: EncodedArgs::from_json(&event.args, event.attachments.into_owned()),
        }
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
