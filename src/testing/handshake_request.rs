//! The requests of a handshake.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use proto::Sid;
use proto::always;
use proto::engine_io::Transport;

/// The request that opens a session. Polling repeats it.
#[derive(Debug)]
pub(super) struct HandshakeRequest {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
}

impl HandshakeRequest {
    pub(super) fn request(
        &self,
        method: Method,
        transport: Transport,
        sid: Option<Sid>,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let Self { path, query, .. } = self;
        let mut target = format!("{path}?EIO=4&transport={transport}{query}");
        if let Some(sid) = sid {
            target.push_str(&format!("&sid={sid}"));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = always(target.parse().ok(), "the URI was validated when it was set");
        *request.headers_mut() = self.headers.clone();
        request
    }
}
