//! Typed events as arguments of handlers.

use contract::{ClientEvent, Received};
use serde::de::DeserializeOwned;

use super::data::read;
use super::{DataRejection, EventContext, FromEvent, phase, via};
use proto::Args;

/// A typed event is an argument of its handler.
#[diagnostic::do_not_recommend]
impl<S: Sync, E: ClientEvent + DeserializeOwned> FromEvent<S, phase::Event, via::Declared> for E {
    type Rejection = DataRejection;

    const DATA: bool = true;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, DataRejection> {
        read(cx, Args::deserialize_with).map(|Received(event)| event)
    }
}

/// A typed event, where the event itself cannot be an argument: `Result<On<Say>, DataRejection>` passes an event that
/// does not fit to the handler.
///
/// ```
/// use axum_socketio::contract::ClientEvent;
/// use axum_socketio::extract::{DataRejection, On};
/// use axum_socketio::Namespace;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Rename { name: String }
///
/// impl ClientEvent for Rename {
///     const NAME: &'static str = "rename";
///     type Ack = ();
/// }
///
/// async fn rename(event: Result<On<Rename>, DataRejection>) {
///     if let Ok(On(Rename { name })) = event {
///         println!("{name}");
///     }
/// }
///
/// let namespace: Namespace = Namespace::new().on(Rename::NAME, rename);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct On<E>(pub E);

impl<S: Sync, E: ClientEvent + DeserializeOwned> FromEvent<S, phase::Event, via::Event> for On<E> {
    type Rejection = DataRejection;

    const DATA: bool = true;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, DataRejection> {
        read(cx, Args::deserialize_with).map(|Received(event)| Self(event))
    }
}

impl<S: Sync, E: ClientEvent + DeserializeOwned> FromEvent<S, phase::Event, via::Event>
    for Result<On<E>, DataRejection>
{
    type Rejection = DataRejection;

    async fn from_event(cx: &mut EventContext, state: &S) -> Result<Self, DataRejection> {
        Ok(On::from_event(cx, state).await)
    }
}
