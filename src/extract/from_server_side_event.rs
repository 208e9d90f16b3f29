//! Arguments of the handlers of events that other servers send.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRef, State};
use serde::de::DeserializeOwned;

use super::{Data, DataRejection, Event, RawArgs};
use crate::emit::ServerSideEvent;
use proto::{Args, ArgsError, Surplus};

/// An argument of a handler of [`Namespace::on_server`](crate::Namespace::on_server).
///
/// An event of another server has no socket and no request, so its handlers take [`Data`], [`Json`], [`RawArgs`],
/// [`Event`], [`State`] and [`ServerSideEvent`], and types of the application that implement this trait.
///
/// ```
/// use axum_socketio::emit::ServerSideEvent;
/// use axum_socketio::extract::FromServerSideEvent;
///
/// /// The namespace of the event.
/// struct At(String);
///
/// impl<S> FromServerSideEvent<S> for At {
///     type Rejection = std::convert::Infallible;
///
///     fn from_server_side_event(event: &ServerSideEvent, _state: &S) -> Result<Self, Self::Rejection> {
///         Ok(Self(event.nsp().to_owned()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an argument that a handler of `on_server` can take",
    label = "not an argument for an event of another server, where the state is `{S}`",
    note = "such an event has no socket and no request: its handlers take `Data<T>`, `Json<T>`, `RawArgs`, `Event`, \
            `State<T>` and `ServerSideEvent`",
    note = "`T` in `State<T>` must implement `FromRef<{S}>`, `T` in `Data<T>` and `Json<T>` \
            `serde::de::DeserializeOwned`"
)]
pub trait FromServerSideEvent<S>: Sized {
    /// The reason for which the handler is not called. It is logged, and the server counts as missing.
    type Rejection: std::fmt::Display;

    /// Extracts the argument.
    ///
    /// # Errors
    ///
    /// If the event has no such argument.
    fn from_server_side_event(event: &ServerSideEvent, state: &S) -> Result<Self, Self::Rejection>;
}

fn read<T>(
    event: &ServerSideEvent,
    read: impl FnOnce(&Args, Surplus) -> Result<T, ArgsError>,
) -> Result<T, DataRejection> {
    let result = read(event.args(), event.surplus());
    result.map_err(|error| DataRejection::new(event.name(), error))
}

impl<S, T: DeserializeOwned> FromServerSideEvent<S> for Data<T> {
    type Rejection = DataRejection;

    fn from_server_side_event(event: &ServerSideEvent, _: &S) -> Result<Self, DataRejection> {
        read(event, Args::deserialize_with).map(Self)
    }
}

impl<S, T: DeserializeOwned> FromServerSideEvent<S> for Json<T> {
    type Rejection = DataRejection;

    fn from_server_side_event(event: &ServerSideEvent, _: &S) -> Result<Self, DataRejection> {
        read(event, Args::deserialize_one).map(Self)
    }
}

impl<S> FromServerSideEvent<S> for RawArgs {
    type Rejection = DataRejection;

    fn from_server_side_event(event: &ServerSideEvent, _: &S) -> Result<Self, DataRejection> {
        read(event, Args::deserialize_with)
    }
}

impl<S, T: FromRef<S>> FromServerSideEvent<S> for State<T> {
    type Rejection = Infallible;

    fn from_server_side_event(_: &ServerSideEvent, state: &S) -> Result<Self, Infallible> {
        Ok(Self(T::from_ref(state)))
    }
}

impl<S> FromServerSideEvent<S> for Event {
    type Rejection = Infallible;

    fn from_server_side_event(event: &ServerSideEvent, _: &S) -> Result<Self, Infallible> {
        Ok(Self(event.name().to_owned()))
    }
}

impl<S> FromServerSideEvent<S> for ServerSideEvent {
    type Rejection = Infallible;

    fn from_server_side_event(event: &Self, _: &S) -> Result<Self, Infallible> {
        Ok(event.clone())
    }
}

macro_rules! optional {
    ($($name:ident),*) => {$(
        impl<S, T: DeserializeOwned> FromServerSideEvent<S> for Option<$name<T>> {
            type Rejection = Infallible;

            /// Extracts the arguments, or `None` if they do not fit.
            fn from_server_side_event(event: &ServerSideEvent, state: &S) -> Result<Self, Infallible> {
                Ok($name::from_server_side_event(event, state).ok())
            }
        }

        impl<S, T: DeserializeOwned> FromServerSideEvent<S> for Result<$name<T>, DataRejection> {
            type Rejection = Infallible;

            fn from_server_side_event(event: &ServerSideEvent, state: &S) -> Result<Self, Infallible> {
                Ok($name::from_server_side_event(event, state))
            }
        }
    )*};
}

optional!(Data, Json);
