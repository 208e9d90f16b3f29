//! The event's own arguments.

use axum::Json;
use serde::de::DeserializeOwned;

use super::{DataRejection, EventContext, FromEvent, RawArgs, phase, via};
use proto::{Args, ArgsError, Surplus};

/// The arguments of an event, as the type `T`.
///
/// A tuple, an array of fixed size included, takes one argument for each of its elements, `()` takes none, and any
/// other type, a tuple struct included, takes one; `Data<(T,)>` always takes one. Arguments that may be missing at the
/// end are `Option`. Surplus arguments are ignored, as in Node, unless the namespace has
/// [`strict_arguments`](crate::Namespace::strict_arguments); a tuple that ends with a [`Rest`](super::Rest) takes them.
/// Binary data is [`Binary`](super::Binary), or any type that deserializes from bytes.
///
/// ```
/// use axum_socketio::Data;
///
/// async fn message(Data((room, text)): Data<(String, String)>) {}
/// async fn join(Data(room): Data<String>) {}
/// async fn search(Data((query, limit)): Data<(String, Option<u32>)>) {}
/// ```
///
/// A handler has one `Data` or `Json`: a second one would read the same arguments again. This does not compile:
///
/// ```compile_fail,E0080
/// use axum_socketio::{Data, Namespace};
///
/// async fn say(Data(room): Data<String>, Data(text): Data<String>) {}
///
/// let namespace: Namespace = Namespace::new().on("say", say);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data<T>(pub T);

pub(super) fn read<T>(
    cx: &mut EventContext,
    read: impl FnOnce(&Args, Surplus) -> Result<T, ArgsError>,
) -> Result<T, DataRejection> {
    let surplus = cx.socket().namespace().options.surplus;
    let call = cx.event_call().ok_or(DataRejection::NotAnEvent)?;
    let result = read(call.event.args(), surplus);
    // Malformed arguments stay unchecked, so the connection is closed even if the handler accepts the rejection.
    call.checked |= !matches!(result, Err(ArgsError::Malformed(_)));
    result.map_err(|error| DataRejection::new(call.event.name(), error))
}

impl<S: Sync, T: DeserializeOwned> FromEvent<S, phase::Event, via::Event> for Data<T> {
    type Rejection = DataRejection;

    const DATA: bool = true;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, DataRejection> {
        read(cx, Args::deserialize_with).map(Self)
    }
}

/// Extracts one argument, even if `T` is a tuple, so one function can serve an HTTP route and an event.
impl<S: Sync, T: DeserializeOwned> FromEvent<S, phase::Event, via::Event> for Json<T> {
    type Rejection = DataRejection;

    const DATA: bool = true;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, DataRejection> {
        read(cx, Args::deserialize_one).map(Self)
    }
}

impl<S: Sync> FromEvent<S, phase::Event, via::Event> for RawArgs {
    type Rejection = DataRejection;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, DataRejection> {
        read(cx, Args::deserialize_with)
    }
}

macro_rules! optional {
    ($($name:ident),*) => {$(
        impl<S: Sync, T: DeserializeOwned> FromEvent<S, phase::Event, via::Event> for Option<$name<T>> {
            type Rejection = DataRejection;

            /// Extracts the arguments, or `None` if they do not fit.
            async fn from_event(cx: &mut EventContext, state: &S) -> Result<Self, DataRejection> {
                Ok($name::from_event(cx, state).await.ok())
            }
        }

        impl<S: Sync, T: DeserializeOwned> FromEvent<S, phase::Event, via::Event> for Result<$name<T>, DataRejection> {
            type Rejection = DataRejection;

            async fn from_event(cx: &mut EventContext, state: &S) -> Result<Self, DataRejection> {
                Ok($name::from_event(cx, state).await)
            }
        }
    )*};
}

optional!(Data, Json);
