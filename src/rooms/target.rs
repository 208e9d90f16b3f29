//! The recipients of a broadcast.

use std::borrow::Cow;

use crate::outbox::{Reliability, SendOptions};
use proto::cluster::{Flags, Selection};
use proto::{Room, Sid};

/// The members of any of `rooms`, or of the whole namespace, except those of any of `except`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    /// The rooms, if any were chosen. An empty list has no members.
    pub(crate) rooms: Option<Vec<Room>>,
    pub(crate) except: Vec<Room>,
    /// The sender of a socket's own broadcast.
    pub(crate) except_id: Option<Sid>,
    pub(crate) options: SendOptions,
    /// True if only the members on this server are recipients.
    pub(crate) local: bool,
}

impl Target {
    /// Returns the form of the target in messages to other servers.
    pub(crate) fn selection(&self) -> Selection<'_> {
        let mut except = texts(&self.except);
        except.extend({ self.except_id.as_ref() }.map(|id| Cow::Owned(id.as_str().to_owned())));
        Selection {
            rooms: texts(self.rooms.as_deref().unwrap_or_default()),
            except,
            flags: Flags {
                volatile: self.options.is_volatile().then_some(true),
                compress: self.options.uncompressed.then_some(false),
                expect_single_response: None,
                timeout: None,
            },
        }
    }
}

/// The target that a message selects, on this server and others.
impl From<Selection<'_>> for Target {
    fn from(selection: Selection<'_>) -> Self {
        Self {
            rooms: (!selection.rooms.is_empty()).then(|| rooms(&selection.rooms)),
            except: rooms(&selection.except),
            except_id: None,
            options: options(&selection.flags),
            local: false,
        }
    }
}

fn texts(rooms: &[Room]) -> Vec<Cow<'_, str>> {
    rooms.iter().map(|room| Cow::Borrowed(&**room)).collect()
}

fn rooms(texts: &[Cow<'_, str>]) -> Vec<Room> {
    texts.iter().map(|text| Room::from(&**text)).collect()
}

/// Returns the options with which the event of a message is sent.
fn options(flags: &Flags) -> SendOptions {
    let reliability = match flags.volatile {
        Some(true) => Reliability::Volatile,
        Some(false) | None => Reliability::Reliable,
    };
    SendOptions {
        reliability,
        uncompressed: flags.compress == Some(false),
    }
}
