//! The messages that the servers of a cluster exchange, and the engine that carries them.
//!
//! The messages are those of the Node.js adapters, so servers of both kinds can share a cluster. There are two families
//! of them: that of sharded Redis, Redis Streams and PostgreSQL, and the one of classic Redis. Members
//! that only servers of this crate understand are ignored by Node.js.

mod classic;
mod decode;
mod decode_error;
mod depth;
mod emitter_target;
mod encode;
mod future;
mod health;
mod json;
mod link_health;
mod message;
mod names;
mod peers;
mod publish_queue;
mod reconnect;
mod requests;
mod saved_session;
mod store;
mod stored;
mod stream_entry;
mod subscriptions;
#[cfg(test)]
mod tests;
mod wire;

pub use decode_error::MessageError;
pub use emitter_target::{EmitterMessage, EmitterTarget};
pub use future::BoxFuture;
pub use health::{Health, HealthState};
pub use link_health::LinkHealth;
pub use message::{
    Body, Change, ClientAnswer, Family, FetchAnswer, Flags, Message, Selection, SocketFacts, Wanted,
};
pub use peers::{EMITTER, Heartbeats, Passed, Peers};
pub use publish_queue::{Destination, PublishQueue};
pub use reconnect::{Failure, Reconnect};
pub use requests::{Expected, Requests};
pub use store::{
    Arrival, Feed, Position, SavedSession, Store, StoreError, StoreReply, StoredEvent,
};
pub use stored::Stored;
pub use stream_entry::{StreamContent, StreamEntry};
pub use subscriptions::{Changes, Confirmation, Subscriptions, Taken};
pub use wire::{
    Channel, JOIN_SETTLES, Presence, PublishError, Receiver, RoomChannels, Wire, WireConnection,
    WireError,
};

impl Family {
    /// Encodes a message.
    #[must_use]
    pub fn encode(self, message: &Message<'_>) -> bytes::Bytes {
        match self {
            Self::Cluster => message.encode(),
            Self::Classic => classic::encode(message),
        }
    }

    /// Returns true if a message is known to be from a sender with this id before it is decoded. An engine may deliver
    /// the messages of a server to that server as well.
    #[must_use]
    pub fn is_from(self, uid: &str, message: &[u8]) -> bool {
        match self {
            Self::Cluster => false,
            Self::Classic => classic::is_from(uid, message),
        }
    }

    /// Decodes a message that was sent to a channel. Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are malformed, if a member is missing or of the wrong type, or if the type is unknown.
    pub fn decode(
        self,
        channel: Channel<'_>,
        message: &bytes::Bytes,
    ) -> Result<Message<'static>, MessageError> {
        match self {
            Self::Cluster => Message::decode(message, channel.nsp()),
            Self::Classic => classic::decode(channel, message),
        }
    }
}
