//! Events as types.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Shape;

/// An event that clients send to the server.
///
/// The server deserializes it and a client in Rust serializes it, so the type implements what its program needs of
/// serde's traits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event that clients send",
    note = "implement `ClientEvent` for `{Self}`, with the name of the event and the type of its acknowledgement"
)]
pub trait ClientEvent: Sized {
    /// The name of the event.
    const NAME: &'static str;

    /// The form of the arguments. Default: one argument, the event itself.
    const SHAPE: Shape = Shape::One;

    /// The event as a value, for the registration of its handler.
    const EVENT: EventOf<Self> = EventOf(PhantomData);

    /// The acknowledgement that the server sends. A tuple is several arguments, `()` is none.
    type Ack;
}

/// An event that the server sends to clients.
///
/// The server serializes it, and a client in Rust deserializes it. A type that borrows can be sent, too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event that the server sends",
    note = "implement `ServerEvent` for `{Self}`, with the name of the event and the type of its acknowledgement"
)]
pub trait ServerEvent {
    /// The name of the event.
    const NAME: &'static str;

    /// The form of the arguments. Default: one argument, the event itself.
    const SHAPE: Shape = Shape::One;

    /// The acknowledgement that clients send. A tuple is several arguments, `()` is none.
    type Ack;
}

/// The event `E` as a value; [`ClientEvent::EVENT`].
pub struct EventOf<E>(PhantomData<fn() -> E>);

impl<E> Clone for EventOf<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for EventOf<E> {}

impl<E: ClientEvent> fmt::Debug for EventOf<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventOf").field(&E::NAME).finish()
    }
}

/// The arguments of an event of a client, deserialized in the shape of the event.
#[derive(Debug)]
pub struct Received<E>(pub E);

impl<'de, E: ClientEvent + Deserialize<'de>> Deserialize<'de> for Received<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        E::SHAPE.deserialize(deserializer).map(Self)
    }
}

/// The arguments of an event of the server, serialized in the shape of the event.
#[derive(Debug)]
pub struct Sent<'a, E: ?Sized>(pub &'a E);

impl<E: ServerEvent + Serialize + ?Sized> Serialize for Sent<'_, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        E::SHAPE.serialize(self.0, serializer)
    }
}
