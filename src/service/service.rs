//! The service without a layer around it.

use std::future::Future;
use std::sync::Arc;

use axum_core::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use tower::BoxError;

use super::request_context::RequestContext;
use super::serve;
use crate::server::SocketIo;

/// See [`SocketIo::service`].
#[derive(Clone, Debug)]
pub struct SocketIoService {
    io: SocketIo,
}

impl SocketIoService {
    pub(super) fn new(io: SocketIo) -> Self {
        Self { io }
    }

    pub(super) fn respond<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Response<Body>> + Send + use<B>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        serve::respond(self.context(), request)
    }

    fn context(&self) -> Option<RequestContext> {
        let server = self.io.server()?;
        let connections = Arc::clone(&server.connections) as Arc<dyn std::any::Any + Send + Sync>;
        let sessions = connections.downcast().ok()?;
        Some(RequestContext {
            io: self.io.clone(),
            server,
            sessions,
        })
    }
}
