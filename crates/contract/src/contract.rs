//! Namespaces and the events that travel in them.

use crate::{ClientEvent, ServerEvent};

/// A namespace with its events. [`contract!`](crate::contract!) declares one.
pub trait Contract: 'static {
    /// The name of the namespace, with the slash.
    const NAMESPACE: &'static str;
}

/// An event that clients send in the namespace of the contract `C`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event that clients send in `{C}`",
    label = "not in the contract `{C}`",
    note = "list it in the `contract!` of `{C}`, after `client:`"
)]
pub trait ReceivedIn<C>: ClientEvent {}

/// An event that the server sends in the namespace of the contract `C`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event that the server sends in `{C}`",
    label = "not in the contract `{C}`",
    note = "list it in the `contract!` of `{C}`, after `server:`"
)]
pub trait SentIn<C>: ServerEvent {}

/// Declares a [`Contract`]: a type with its namespace, the events of clients and those of the server.
///
/// An event may be in several contracts. An event that borrows is added by hand: `impl SentIn<Chat> for SaidRef<'_>
/// {}`.
///
/// ```
/// # use axum_socketio_contract::{ClientEvent, ServerEvent, contract};
/// # struct Say; struct Rename; struct Said;
/// # impl ClientEvent for Say { const NAME: &'static str = "say"; type Ack = (); }
/// # impl ClientEvent for Rename { const NAME: &'static str = "rename"; type Ack = (); }
/// # impl ServerEvent for Said { const NAME: &'static str = "said"; type Ack = (); }
/// contract! {
///     /// The events of the chat.
///     pub Chat = "/chat";
///     client: Say, Rename;
///     server: Said;
/// }
/// ```
#[macro_export]
macro_rules! contract {
    (
        $(#[$attribute:meta])*
        $visibility:vis $name:ident = $namespace:literal;
        client: $($client:ty),* $(,)?;
        server: $($server:ty),* $(,)?;
    ) => {
        $(#[$attribute])*
        #[derive(Debug)]
        $visibility enum $name {}

        impl $crate::Contract for $name {
            const NAMESPACE: &'static str = $namespace;
        }

        $(impl $crate::ReceivedIn<$name> for $client {})*
        $(impl $crate::SentIn<$name> for $server {})*
    };
}
