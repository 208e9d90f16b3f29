//! Patterns for the names of namespaces, with the syntax of axum's paths.

use std::convert::Infallible;
use std::future::ready;

use axum::Router;
use axum::extract::{MatchedPath, OriginalUri};
use axum_core::body::Body;
use futures_util::FutureExt;
use http::{Extensions, Request, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tower::service_fn;
use tower_service::Service;

/// The characters to escape in a path. A question mark is escaped, since it is part of the name.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A pattern such as `/orders-{id}`: an axum router with this one route, so that axum's `Path` can extract the
/// parameters.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Router);

impl Pattern {
    /// Returns true if a name is a pattern.
    pub(crate) fn is(name: &str) -> bool {
        name.contains('{')
    }

    /// # Panics
    ///
    /// Panics if axum does not accept the pattern, as `Router::route` does.
    pub(crate) fn new(pattern: &str) -> Self {
        let found = service_fn(|request: Request<Body>| {
            let mut response = Response::new(Body::empty());
            *response.extensions_mut() = request.into_parts().0.extensions;
            ready(Ok::<_, Infallible>(response))
        });
        Self(Router::new().route_service(pattern, found))
    }

    /// Returns the handshake's extensions with the parameters of the name added, if the name fits.
    pub(crate) fn fits(&self, name: &str, handshake: &Extensions) -> Option<Extensions> {
        let path = utf8_percent_encode(name, ESCAPED).to_string();
        let mut request = Request::builder().uri(path).body(Body::empty()).ok()?;
        *request.extensions_mut() = handshake.clone();
        let mut router = self.0.clone();
        let Ok(mut response) = router.call(request).now_or_never()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let mut extensions = std::mem::take(response.extensions_mut());
        // The router has set these for the namespace's name; the values of the handshake are restored.
        put_back::<OriginalUri>(handshake, &mut extensions);
        put_back::<MatchedPath>(handshake, &mut extensions);
        Some(extensions)
    }
}

fn put_back<T: Clone + Send + Sync + 'static>(from: &Extensions, into: &mut Extensions) {
    match from.get::<T>() {
        Some(value) => into.insert(value.clone()),
        None => into.remove(),
    };
}

#[cfg(test)]
mod tests {
    use axum::extract::{FromRequestParts, Path};
    use serde::de::DeserializeOwned;

    use super::*;

    fn params<T: DeserializeOwned + Send>(pattern: &str, name: &str) -> Option<T> {
        let extensions = Pattern::new(pattern).fits(name, &Extensions::new())?;
        let mut parts = Request::new(()).into_parts().0;
        parts.extensions = extensions;
        let path = Path::from_request_parts(&mut parts, &()).now_or_never()?;
        Some(path.unwrap().0)
    }

    #[test]
    fn parameters_are_what_axum_makes_of_them() {
        assert_eq!(params("/orders-{id}", "/orders-17"), Some(17));
        assert_eq!(
            params("/{a}/{b}", "/x/y"),
            Some(("x".to_owned(), "y".to_owned()))
        );
        assert_eq!(params("/all/{*rest}", "/all/x/y"), Some("x/y".to_owned()));
        for name in ["/orders-", "/orders-1/2", "/orders", "/Orders-1", "/"] {
            assert_eq!(params::<String>("/orders-{id}", name), None, "{name}");
        }
    }

    #[test]
    fn any_name_may_fit() {
        for name in ["ä ö", "a?b#c", "100%", "{id}", "\u{1F600}", "%41"] {
            let got = params::<String>("/{name}", &format!("/{name}"));
            assert_eq!(got.as_deref(), Some(name));
        }
    }

    #[test]
    fn extensions_of_the_handshake_stay() {
        let mut handshake = Extensions::new();
        handshake.insert(7_u8);
        let extensions = Pattern::new("/{x}").fits("/y", &handshake).unwrap();
        assert_eq!(extensions.get(), Some(&7_u8));
        assert!(extensions.get::<OriginalUri>().is_none());
        handshake.insert(OriginalUri("/socket.io/".parse().unwrap()));
        let extensions = Pattern::new("/{x}").fits("/y", &handshake).unwrap();
        assert_eq!(extensions.get::<OriginalUri>().unwrap().0, "/socket.io/");
    }
}
