//! The requests of long-polling, answered by hyper alone: a GET returns at once what was posted last, so that bodies are as
//! long as a real server's.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::handshake::open_packet;

type Last = Mutex<Bytes>;

pub async fn serve(stream: TcpStream, last: Arc<Last>) -> io::Result<()> {
    let service = service_fn(|request| answer(request, &last));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(io::Error::other)
}

async fn answer(
    request: Request<Incoming>,
    last: &Last,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let has_session = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("sid="));
    let body = if !has_session {
        open_packet(&["websocket"]).into()
    } else if request.method() == Method::POST {
        let posted = request.into_body().collect().await;
        *last.lock().unwrap_or_else(PoisonError::into_inner) = posted
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        Bytes::from_static(b"ok")
    } else {
        last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    };
    let mut response = Response::new(Full::new(body));
    let kind = HeaderValue::from_static("text/plain; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
