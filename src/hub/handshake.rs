//! The HTTP request that opened a connection, kept for its extractors.
//!
//! Header values and the address are copied: the server's own would keep the buffer alive that they were read into.

use axum::extract::OriginalUri;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Uri, Version};

#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
}

impl Handshake {
    pub(crate) fn new(parts: &mut Parts) -> Self {
        let mut extensions = std::mem::take(&mut parts.extensions);
        // It belongs to this request's connection, which outlives the request only if we say so.
        extensions.remove::<hyper::upgrade::OnUpgrade>();
        // axum's router leaves it there, and with it some 16 KiB of read buffer for as long as the client stays.
        if let Some(OriginalUri(uri)) = extensions.get_mut() {
            *uri = copy_uri(uri);
        }
        Self {
            method: parts.method.clone(),
            uri: copy_uri(&parts.uri),
            version: parts.version,
            headers: copy_headers(&parts.headers),
            extensions,
        }
    }

    /// The request as an extractor sees it, but for its extensions.
    pub(crate) fn parts(&self) -> Parts {
        let mut parts = Request::new(()).into_parts().0;
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        parts.version = self.version;
        parts.headers = self.headers.clone();
        parts
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

fn copy_uri(uri: &Uri) -> Uri {
    uri.to_string().parse().unwrap_or_default()
}

/// Copies all values into one buffer.
fn copy_headers(headers: &HeaderMap) -> HeaderMap {
    let size = headers.values().map(HeaderValue::len).sum();
    let mut buffer = BytesMut::with_capacity(size);
    headers
        .values()
        .for_each(|value| buffer.extend_from_slice(value.as_bytes()));
    let mut rest: Bytes = buffer.freeze();
    let mut copy = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        let bytes = rest.split_to(value.len());
        // The bytes were a header's value before, so they are one again.
        if let Ok(mut copied) = HeaderValue::from_maybe_shared(bytes) {
            copied.set_sensitive(value.is_sensitive());
            copy.append(name, copied);
        }
    }
    copy
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
        let mut parts = request.body(()).unwrap().into_parts().0;
        let before = parts.headers.clone();
        let handshake = Handshake::new(&mut parts);
        let kept = handshake.parts();
        assert_eq!(kept.headers, before);
        assert_eq!(kept.uri, "http://host/socket.io/?EIO=4&x=%20");
        assert_eq!(handshake.extensions().get::<u8>(), Some(&7));
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
        let handshake = Handshake::new(&mut parts);
        drop(parts);
        assert_eq!(freed.try_recv(), Ok(()));
        assert_eq!(handshake.parts().uri, "/socket.io/?EIO=4");
    }
}
