//! What users want to decide, or to see, of the requests that open connections.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum_core::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};

use super::{ClientFiles, TypeName};
use crate::adapter::BoxFuture;
use crate::panics::{Panicked, guarded};
use crate::protocol::Sid;

/// Asks whether a client may open a connection.
#[derive(Clone)]
pub(crate) struct AllowRequest {
    pub(crate) call: Allow,
    /// The type of the handler.
    pub(crate) handler: TypeName,
}

type Allow = Arc<dyn Fn(Request<Body>) -> BoxFuture<Response<Body>> + Send + Sync>;
type HeaderHook = Arc<dyn Fn(&mut HeaderMap, &Parts) + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Hooks {
    /// Asks whether a client may open a connection. A success lets it in.
    pub(crate) allow: Option<AllowRequest>,
    pub(crate) initial_headers: Option<HeaderHook>,
    pub(crate) headers: Option<HeaderHook>,
    pub(crate) refused: Option<Arc<dyn Fn(&ConnectionError<'_>) + Send + Sync>>,
    /// Where a client is, if that is known.
    pub(crate) address: Option<Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>>,
    /// Whose pages may connect; all, if there is no list.
    pub(crate) origins: Option<Arc<[HeaderValue]>>,
    /// Of the cookie with the session's id: its name, and its attributes.
    pub(crate) cookie: Option<(String, String)>,
    /// The browser client's files, if they are served.
    pub(crate) client_files: Option<ClientFiles>,
    /// A packet of Engine.IO that follows the open packet.
    pub(crate) initial_packet: Option<String>,
}

/// A request that was refused: see [`on_connection_error`](crate::SocketIoBuilder::on_connection_error). Node's
/// `connection_error`.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionError<'a> {
    /// The protocol's code, as the client is told: 0 transport unknown, 1 session id unknown, 2 bad handshake method, 3 bad
    /// request, 4 forbidden, 5 unsupported protocol version.
    pub code: u8,
    /// What the client is told.
    pub message: &'a str,
    /// The status of the answer.
    pub status: StatusCode,
    /// Which rule was broken, in Node's words where Node has some: `TRANSPORT_MISMATCH`, `INVALID_ORIGIN`.
    pub context: &'static str,
    /// What was asked.
    pub request: &'a Parts,
}

impl Hooks {
    /// Whether a page of this origin may speak to the server. What comes without one comes from no page.
    pub(crate) fn allows_origin(&self, request: &Parts) -> bool {
        let origin = request.headers.get(header::ORIGIN);
        let (Some(origins), Some(origin)) = (&self.origins, origin) else {
            return true;
        };
        origins.contains(origin) || is_own(origin, request)
    }

    /// Where a client is, if its connections are to be counted.
    pub(crate) fn address(&self, request: &Parts) -> Result<Option<IpAddr>, Panicked> {
        let Some(address) = &self.address else {
            return Ok(None);
        };
        guarded(|| address(request))
    }

    /// What a session that opens over polling sets.
    pub(crate) fn cookie(&self, sid: Sid) -> Option<HeaderValue> {
        let (name, attributes) = self.cookie.as_ref()?;
        // The builder has tried it.
        HeaderValue::try_from(format!("{name}={sid}{attributes}")).ok()
    }

    /// Shows what is answered to a request that is not refused. Returns the name of the hook that has panicked, if one has.
    pub(crate) fn see_answer(
        &self,
        answer: &mut Response<Body>,
        request: &Parts,
        opens: bool,
    ) -> Result<(), (&'static str, Panicked)> {
        let status = answer.status();
        if status.is_client_error() || status.is_server_error() {
            return Ok(());
        }
        let hooks = [
            (
                "on_initial_headers",
                self.initial_headers.as_ref().filter(|_| opens),
            ),
            ("on_headers", self.headers.as_ref()),
        ];
        for (name, hook) in hooks {
            if let Some(hook) = hook {
                guarded(|| hook(answer.headers_mut(), request))
                    .map_err(|panicked| (name, panicked))?;
            }
        }
        Ok(())
    }

    /// Shows why a request is refused.
    pub(crate) fn see_refusal(&self, error: &ConnectionError<'_>) -> Result<(), Panicked> {
        match &self.refused {
            Some(hook) => guarded(|| hook(error)),
            None => Ok(()),
        }
    }

    /// Whether somebody wants to see what was asked, beside the answer.
    pub(crate) fn see_requests(&self) -> bool {
        self.initial_headers.is_some() || self.headers.is_some() || self.refused.is_some()
    }
}

/// Whether a page is of the very host that it asks.
fn is_own(origin: &HeaderValue, request: &Parts) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let (_, page) = origin.split_once("://").unwrap_or_default();
    // HTTP/2 has it in the address.
    let host = request.headers.get(header::HOST);
    let host = match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => host.and_then(|host| host.to_str().ok()),
    };
    !page.is_empty() && host.is_some_and(|host| host.eq_ignore_ascii_case(page))
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("origins", &self.origins)
            .field("cookie", &self.cookie)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: Option<&str>, host: &str) -> bool {
        let listed = HeaderValue::from_static("https://app.example.com");
        let hooks = Hooks {
            origins: Some([listed].into()),
            ..Hooks::default()
        };
        let mut request = Request::builder().header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let own = hooks.allows_origin(&request.body(()).unwrap().into_parts().0);
        let mut request = Request::get(format!("https://{host}/"));
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let http2 = hooks.allows_origin(&request.body(()).unwrap().into_parts().0);
        assert_eq!(own, http2);
        own
    }

    #[test]
    fn listed_origins_and_the_servers_own_may_connect() {
        let host = "api.example.com:8443";
        assert!(allowed(Some("https://app.example.com"), host));
        assert!(allowed(Some("https://API.example.com:8443"), host));
        assert!(allowed(None, host), "no browser");
        for origin in [
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com.evil.example",
            "https://api.example.com",
            "null",
            "https://",
            "",
        ] {
            assert!(!allowed(Some(origin), host), "{origin}");
        }
    }
}
