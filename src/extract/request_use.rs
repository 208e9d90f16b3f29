//! The use that an extractor of axum makes of the request.

use std::any::{TypeId, type_name};

use axum::extract::{MatchedPath, NestedPath, OriginalUri, Path, RawPathParams, RawQuery, State};
use axum::{Extension, http};

use crate::server::SocketIo;
use crate::socket::Socket;

/// The use that an extractor makes of the request.
///
/// An extractor that is not known here is assumed to write. It gets the same arguments as any other, but the request of
/// its socket is copied again for the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestUse {
    None,
    Read,
    Write,
}

impl RequestUse {
    #[inline]
    pub(super) fn of<T: 'static>() -> Self {
        if is_a::<T, State<()>>() {
            Self::None
        } else if only_reads::<T>() {
            Self::Read
        } else {
            Self::Write
        }
    }
}

#[inline]
fn only_reads<T: 'static>() -> bool {
    is_a::<T, Extension<()>>()
        || is_a::<T, Path<()>>()
        || is_optional::<T, Extension<()>>()
        || is_optional::<T, Path<()>>()
        || is_one_of::<T>([
            TypeId::of::<http::HeaderMap>(),
            TypeId::of::<http::Method>(),
            TypeId::of::<http::Uri>(),
            TypeId::of::<http::Version>(),
            TypeId::of::<MatchedPath>(),
            TypeId::of::<Option<MatchedPath>>(),
            TypeId::of::<NestedPath>(),
            TypeId::of::<OriginalUri>(),
            TypeId::of::<RawPathParams>(),
            TypeId::of::<RawQuery>(),
            TypeId::of::<SocketIo>(),
            TypeId::of::<Option<SocketIo>>(),
            TypeId::of::<Option<Socket>>(),
        ])
}

#[inline]
fn is_one_of<T: 'static>(types: impl IntoIterator<Item = TypeId>) -> bool {
    types.into_iter().any(|id| id == TypeId::of::<T>())
}

/// Returns true if both types are made by one generic type, whatever its arguments. Those of `Other` are `()`.
///
/// Rust cannot compare generic types without their arguments, so the full paths are compared. Both come from the
/// compiler: no path is written down here, and a crate of another name has none of them. The compiler knows both and
/// leaves nothing of it.
#[inline]
fn is_a<T, Other>() -> bool {
    begins_as::<Other>(type_name::<T>())
}

#[inline]
fn is_optional<T, Other>() -> bool {
    let option = opening::<Option<()>>();
    let inner = type_name::<T>().strip_prefix(option);
    inner.is_some_and(begins_as::<Other>)
}

#[inline]
fn begins_as<Other>(name: &str) -> bool {
    name.starts_with(opening::<Other>())
}

/// Returns the path of a generic type whose arguments are `()`, with the bracket behind it.
#[inline]
fn opening<Other>() -> &'static str {
    let name = type_name::<Other>();
    name.strip_suffix("()>").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::extract::Query;

    use super::*;

    #[test]
    fn the_extractors_of_axum_are_known_by_their_types() {
        assert_eq!(RequestUse::of::<State<u8>>(), RequestUse::None);
        for reads in [
            RequestUse::of::<Extension<u8>>(),
            RequestUse::of::<Option<Extension<u8>>>(),
            RequestUse::of::<Path<(u8, String)>>(),
            RequestUse::of::<Option<Path<u8>>>(),
            RequestUse::of::<http::HeaderMap>(),
            RequestUse::of::<SocketIo>(),
            RequestUse::of::<Option<SocketIo>>(),
            RequestUse::of::<Option<Socket>>(),
        ] {
            assert_eq!(reads, RequestUse::Read);
        }
        for unknown in [
            RequestUse::of::<Query<u8>>(),
            RequestUse::of::<Option<State<u8>>>(),
            RequestUse::of::<Result<Json<u8>, u8>>(),
            RequestUse::of::<Option<Option<Extension<u8>>>>(),
        ] {
            assert_eq!(unknown, RequestUse::Write);
        }
    }
}
