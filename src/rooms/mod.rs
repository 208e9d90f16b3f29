//! Rooms, their members, and the delivery of broadcasts to them.
//!
//! A member is an outbox with the facts that other code may ask for, not a socket, so an adapter delivers without
//! knowing what a namespace is.

mod acks;
mod current;
mod deliver;
mod events;
mod handshake;
mod interest;
mod join;
mod member;
mod members;
pub(crate) mod recovery;
#[cfg(test)]
mod stub_link;
mod target;

pub(crate) use acks::Awaited;
pub(crate) use current::CurrentConnection;
pub(crate) use deliver::Delivered;
pub use events::{RoomEvent, RoomEvents};
pub(crate) use handshake::{HandshakeJson, SharedHandshake};
pub(crate) use interest::{Confirmed, RoomHold, RoomInterest};
pub(crate) use join::RoomLimits;
pub use join::{JoinError, JoinFuture, Joined};
use member::open_rooms;
pub(crate) use member::{AckAnswer, Link, Member, Scope};
pub(crate) use members::Members;
pub use proto::{Room, Rooms};
pub(crate) use recovery::{
    Asker, Audience, Claim, Forgotten, History, HistoryState, Log, Offset, SavedSession, Stay,
    Store, StoreError, StoreReply, SuspendedSession, Sweeper,
};
#[cfg(test)]
pub(crate) use stub_link::StubLink;
pub(crate) use target::Target;
