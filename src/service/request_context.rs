//! The server during one request, and the results of its parts.

use std::sync::Arc;

use axum_core::body::Body;
use futures_util::future::BoxFuture;
use http::Response;

use super::refusal::Refusal;
use crate::driver::SessionTable;
use crate::server::{Server, SocketIo};

/// The server, during one request.
pub(super) struct RequestContext {
    pub(super) io: SocketIo,
    pub(super) server: Arc<Server>,
    pub(super) sessions: Arc<SessionTable>,
}

/// A response, or the rule that the request breaks. A body over a limit, or a late one, has a response.
pub(super) type Served = Result<Response<Body>, Refusal>;

/// A response, and a task that is spawned once no hook can refuse the request. If the task is dropped instead, its
/// session or upgrade does not begin.
pub(super) type Opening = Result<(Response<Body>, BoxFuture<'static, ()>), Refusal>;
