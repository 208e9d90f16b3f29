//! Callbacks of the application that decide about, or observe, the requests that open connections.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum_core::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

use super::{ClientFiles, Origins};
use crate::adapter::BoxFuture;
use crate::logs::TypeName;
use crate::metrics::Hook;
use crate::panics::{Panicked, guarded};
use proto::Sid;

/// The handler that decides whether a client may open a connection.
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
    /// The handler that decides whether a client may open a connection. A success status allows it.
    pub(crate) allow: Option<AllowRequest>,
    /// Returns the id of a new session; `None` if it has none.
    pub(crate) generate_id: Option<Arc<dyn Fn(&Parts) -> Option<Sid> + Send + Sync>>,
    pub(crate) initial_headers: Option<HeaderHook>,
    pub(crate) headers: Option<HeaderHook>,
    pub(crate) refused: Option<Arc<dyn Fn(&ConnectionError<'_>) + Send + Sync>>,
    /// Returns the address of a client, if it is known.
    pub(crate) address: Option<Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>>,
    /// The origins whose pages may connect.
    pub(crate) origins: Origins,
    /// The name and the attributes of the cookie with the session's id.
    pub(crate) cookie: Option<(String, String)>,
    /// The browser client's files, if they are served.
    pub(crate) client_files: Option<ClientFiles>,
    /// An Engine.IO packet that is sent after the open packet.
    pub(crate) initial_packet: Option<String>,
}

/// A request that was refused: see [`on_connection_error`](crate::SocketIoBuilder::on_connection_error). Node's
/// `connection_error`.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionError<'a> {
    /// The protocol's error code that the client receives: 0 transport unknown, 1 session id unknown, 2 bad handshake
    /// method, 3 bad request, 4 forbidden, 5 unsupported protocol version.
    pub code: u8,
    /// The error message of the protocol or, if `allow_request` has refused the request, of its response. The client
    /// receives it, with two exceptions: the response to `UNAVAILABLE`, `OVERLAP`, `BAD_METHOD`, `BAD_BODY` and
    /// `BODY_LIMIT` has no body, and in place of a text of `allow_request` with the status 500 the client receives
    /// `internal error`.
    pub message: &'a str,
    /// The status of the response.
    pub status: StatusCode,
    /// The rule that was broken, with Node's name if Node has one: `TRANSPORT_MISMATCH`, `INVALID_ORIGIN`.
    pub context: &'static str,
    /// The refused request.
    pub request: &'a Parts,
}

/// The session that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFor {
    NewSession,
    OpenSession,
}

impl Hooks {
    /// Returns the address of a client, if connections are counted by address.
    pub(crate) fn address(&self, request: &Parts) -> Result<Option<IpAddr>, Panicked> {
        let Some(address) = &self.address else {
            return Ok(None);
        };
        guarded(|| address(request))
    }

    /// Returns the cookie that a session which opens over polling sets.
    pub(crate) fn cookie(&self, sid: Sid) -> Option<HeaderValue> {
        let (name, attributes) = self.cookie.as_ref()?;
        // The builder has validated the name and the attributes.
        HeaderValue::try_from(format!("{name}={sid}{attributes}")).ok()
    }

    /// Calls the header hooks for a response that is not a refusal. Fails with the name of a hook that has panicked.
    pub(crate) fn call_header_hooks(
        &self,
        answer: &mut Response<Body>,
        request: &Parts,
        session: RequestFor,
    ) -> Result<(), (Hook, Panicked)> {
        let status = answer.status();
        if status.is_client_error() || status.is_server_error() {
            return Ok(());
        }
        let hooks = [
            (
                Hook::OnInitialHeaders,
                self.initial_headers
                    .as_ref()
                    .filter(|_| session == RequestFor::NewSession),
            ),
            (Hook::OnHeaders, self.headers.as_ref()),
        ];
        for (name, hook) in hooks {
            if let Some(hook) = hook {
                guarded(|| hook(answer.headers_mut(), request))
                    .map_err(|panicked| (name, panicked))?;
            }
        }
        Ok(())
    }

    /// Calls the hook for refused requests.
    pub(crate) fn call_error_hook(&self, error: &ConnectionError<'_>) -> Result<(), Panicked> {
        match &self.refused {
            Some(hook) => guarded(|| hook(error)),
            None => Ok(()),
        }
    }

    /// Returns true if a hook needs the request in addition to the response.
    pub(crate) fn needs_request(&self, session: RequestFor) -> bool {
        let initial = self.initial_headers.is_some() && session == RequestFor::NewSession;
        initial || self.headers.is_some() || self.refused.is_some()
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("origins", &self.origins)
            .field("cookie", &self.cookie)
            .finish_non_exhaustive()
    }
}
