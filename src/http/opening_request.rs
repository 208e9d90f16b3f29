//! The HTTP request that opened a connection, stored for its extractors.
//!
//! Every connection keeps its request, and most read it once or never. So the address and the headers are packed into
//! one buffer of exact size, where a map would have room to spare, and are unpacked for the handlers that read them.
//! The copy also lets the read buffer of the HTTP server go.

use axum::extract::OriginalUri;
use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, Method, Request, Uri, Version};

use super::packed::{pack, unpack, values};
use crate::panics::drop_guarded;
use proto::always;

#[derive(Clone, Debug)]
pub(crate) struct OpeningRequest {
    /// The address, and the packed headers behind it.
    head: Box<[u8]>,
    /// The length of the address, in bytes.
    address: usize,
    /// The method, unless it is GET.
    method: Option<Box<Method>>,
    version: Version,
    /// True if [`OriginalUri`] is the address, and not among the extensions.
    is_original: bool,
    extensions: Extensions,
}

impl OpeningRequest {
    pub(crate) fn new(mut parts: Parts) -> Self {
        // The upgrade handle belongs to the connection of this request, and keeps it alive.
        parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        // axum's router inserts it, usually with the same address.
        let original = parts.extensions.remove::<OriginalUri>();
        let is_original = matches!(&original, Some(OriginalUri(uri)) if *uri == parts.uri);
        if let Some(OriginalUri(uri)) = original.filter(|_| !is_original) {
            // A copy, because the other one keeps some 16 KiB of read buffer alive.
            let copied = uri.to_string().parse().unwrap_or_default();
            parts.extensions.insert(OriginalUri(copied));
        }
        let (address, head) = pack(&parts.uri, &parts.headers);
        Self {
            head,
            address,
            method: (parts.method != Method::GET).then(|| Box::new(parts.method)),
            version: parts.version,
            is_original,
            extensions: parts.extensions,
        }
    }

    /// Returns the request as an extractor sees it, without its extensions.
    pub(crate) fn parts(&self) -> Parts {
        let mut parts = Request::new(()).into_parts().0;
        let head = Bytes::copy_from_slice(&self.head);
        parts.uri = always(
            Uri::from_maybe_shared(head.slice(..self.address)).ok(),
            "it was a URI before",
        );
        parts.headers = unpack(&head, self.address);
        if let Some(method) = &self.method {
            parts.method = Method::clone(method);
        }
        parts.version = self.version;
        parts
    }

    pub(crate) fn query(&self) -> &str {
        let address = self.address();
        address.split_once('?').map_or("", |(_, query)| query)
    }

    /// Returns the `User-Agent` header of the client.
    pub(crate) fn user_agent(&self) -> Option<&[u8]> {
        let headers = self.head.get(self.address..)?;
        values(headers, &http::header::USER_AGENT).next()
    }

    /// Returns the extensions but axum's [`OriginalUri`], which is left out if it is the address.
    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Returns the address as the server received it, if that has been left out of the extensions.
    pub(crate) fn original_uri(&self) -> Option<OriginalUri> {
        let uri = self.is_original.then(|| self.address().parse())?;
        uri.ok().map(OriginalUri)
    }

    fn address(&self) -> &str {
        let address = always(self.head.get(..self.address), "the address stands first");
        always(str::from_utf8(address).ok(), "it was a URI before")
    }
}

/// The connection's task usually drops the last values of its request, so a panic of theirs is caught.
impl Drop for OpeningRequest {
    fn drop(&mut self) {
        drop_guarded(std::mem::take(&mut self.extensions));
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
        assert_eq!(handshake.original_uri().map(|uri| uri.0), None);
        let original = handshake.extensions().get::<OriginalUri>();
        assert_eq!(original.map(|uri| &uri.0), Some(&whole));
    }

    #[test]
    fn an_address_that_no_router_has_cut_is_kept_once() {
        let uri = Uri::from_static("/socket.io/?EIO=4&name=Ann");
        let mut parts = Request::new(()).into_parts().0;
        parts.uri = uri.clone();
        parts.extensions.insert(OriginalUri(uri.clone()));
        let handshake = OpeningRequest::new(parts);
        assert!(handshake.extensions().get::<OriginalUri>().is_none());
        assert_eq!(handshake.original_uri().map(|uri| uri.0), Some(uri));
        assert_eq!(handshake.query(), "EIO=4&name=Ann");
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
