//! The HTTP request that opened a connection, stored for its extractors.
//!
//! Header values and the address are copied, because those of the HTTP server keep its read buffer alive.

use axum::extract::OriginalUri;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Uri, Version};

use crate::panics::drop_guarded;

#[derive(Clone, Debug)]
pub(crate) struct OpeningRequest {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
}

impl OpeningRequest {
    pub(crate) fn new(mut parts: Parts) -> Self {
        // The upgrade handle belongs to the connection of this request, and keeps it alive.
        parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let uri = own(&parts.uri, &mut parts.headers);
        // axum's router inserts it, and it keeps some 16 KiB of read buffer alive for as long as the client stays.
        if let Some(OriginalUri(original)) = parts.extensions.get_mut() {
            *original = if *original == uri {
                uri.clone()
            } else {
                own(original, &mut HeaderMap::new())
            };
        }
        Self {
            method: parts.method,
            uri,
            version: parts.version,
            headers: parts.headers,
            extensions: parts.extensions,
        }
    }

    /// Returns the request as an extractor sees it, without its extensions.
    pub(crate) fn parts(&self) -> Parts {
        let mut parts = Request::new(()).into_parts().0;
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        parts.version = self.version;
        parts.headers = self.headers.clone();
        parts
    }

    pub(crate) fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// Returns the `User-Agent` header of the client.
    pub(crate) fn user_agent(&self) -> Option<&[u8]> {
        let value = self.headers.get(http::header::USER_AGENT)?;
        Some(value.as_bytes())
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

/// The connection's task usually drops the last values of its request, so a panic of theirs is caught.
impl Drop for OpeningRequest {
    fn drop(&mut self) {
        drop_guarded(std::mem::take(&mut self.extensions));
    }
}

/// Copies the address and all header values into one buffer.
fn own(uri: &Uri, headers: &mut HeaderMap) -> Uri {
    let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let size = headers.values().map(HeaderValue::len).sum::<usize>();
    let mut buffer = BytesMut::with_capacity(path.len() + size);
    buffer.extend_from_slice(path.as_bytes());
    for value in headers.values() {
        buffer.extend_from_slice(value.as_bytes());
    }
    let mut rest: Bytes = buffer.freeze();
    // The copied bytes are valid, since they were a path and header values before.
    let path = PathAndQuery::from_maybe_shared(rest.split_to(path.len()));
    for value in headers.values_mut() {
        let bytes = rest.split_to(value.len());
        if let Ok(mut copied) = HeaderValue::from_maybe_shared(bytes) {
            copied.set_sensitive(value.is_sensitive());
            *value = copied;
        }
    }
    match path {
        Ok(path) if uri.authority().is_none() => path.into(),
        // Rare: a client that uses this server as its proxy.
        _ => uri.to_string().parse().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_keeps_headers_in_order_with_repeats() {
        let request = Request::builder()
            .uri("http://host/socket.io/?EIO=4&x=%20")
            .header("cookie", "a=1")
            .header("x-b", "two")
            .header("cookie", "c=3")
            .extension(7_u8);
        let parts = request.body(()).unwrap().into_parts().0;
        let before = parts.headers.clone();
        let handshake = OpeningRequest::new(parts);
        let kept = handshake.parts();
        assert_eq!(kept.headers, before);
        assert_eq!(kept.uri, "http://host/socket.io/?EIO=4&x=%20");
        assert_eq!(handshake.extensions().get::<u8>(), Some(&7));
    }

    #[test]
    fn an_address_that_a_router_has_cut_is_also_kept_whole() {
        let whole = Uri::from_static("/api/socket.io/?EIO=4");
        let mut parts = Request::new(()).into_parts().0;
        parts.uri = Uri::from_static("/socket.io/?EIO=4");
        parts.extensions.insert(OriginalUri(whole.clone()));
        let handshake = OpeningRequest::new(parts);
        assert_eq!(handshake.parts().uri, "/socket.io/?EIO=4");
        let original = handshake.extensions().get::<OriginalUri>();
        assert_eq!(original.map(|uri| &uri.0), Some(&whole));
    }

    #[test]
    fn nothing_of_the_servers_read_buffer_is_kept() {
        struct Buffer(std::sync::mpsc::Sender<()>, &'static [u8]);

        impl AsRef<[u8]> for Buffer {
            fn as_ref(&self) -> &[u8] {
                self.1
            }
        }

        impl Drop for Buffer {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }

        let (sender, freed) = std::sync::mpsc::channel();
        let head = b"/socket.io/?EIO=4 curl x-own-name PROPFIND";
        let read = Bytes::from_owner(Buffer(sender, head));
        let mut parts = Request::new(()).into_parts().0;
        parts.uri = Uri::from_maybe_shared(read.slice(..17)).unwrap();
        parts.extensions.insert(OriginalUri(parts.uri.clone()));
        parts.method = Method::from_bytes(&read.slice(34..)).unwrap();
        parts.headers.insert(
            http::header::USER_AGENT,
            HeaderValue::from_maybe_shared(read.slice(18..22)).unwrap(),
        );
        parts.headers.insert(
            http::HeaderName::from_bytes(&read.slice(23..33)).unwrap(),
            HeaderValue::from_maybe_shared(read.slice(23..33)).unwrap(),
        );
        drop(read);
        let handshake = OpeningRequest::new(parts);
        assert_eq!(freed.try_recv(), Ok(()));
        assert_eq!(handshake.parts().uri, "/socket.io/?EIO=4");
    }
}
