//! An echo by long-polling with hyper alone. A POST is answered at once, and its body is the response to the session's
//! pending GET. Requests and bodies are those of a real server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum_socketio_proto::engine_io::Transport;
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::handshake::{open_packet, sid};

#[derive(Default)]
pub struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

#[derive(Default)]
struct Session {
    posted: Mutex<Option<Bytes>>,
    came: Notify,
}

impl Sessions {
    fn open(&self) -> Bytes {
        let sid = sid();
        lock(&self.0).insert(sid.to_string(), Arc::default());
        open_packet(sid, Some(Transport::WebSocket)).into()
    }

    fn find(&self, query: &str) -> Option<Arc<Session>> {
        let (_, sid) = query.split_once("sid=")?;
        lock(&self.0).get(sid).cloned()
    }
}

impl Session {
    async fn poll(&self) -> Bytes {
        loop {
            let posted = lock(&self.posted).take();
            match posted {
                Some(posted) => return posted,
                // The permit is stored if the POST has arrived in between.
                None => self.came.notified().await,
            }
        }
    }

    async fn post(&self, body: Incoming) -> Bytes {
        let posted = body.collect().await.map(Collected::to_bytes);
        *lock(&self.posted) = posted.ok();
        self.came.notify_one();
        Bytes::from_static(b"ok")
    }
}

pub async fn serve(stream: TcpStream, sessions: Arc<Sessions>) -> io::Result<()> {
    let service = service_fn(|request| answer(request, &sessions));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(io::Error::other)
}

async fn answer(
    request: Request<Incoming>,
    sessions: &Sessions,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = request.uri().query().and_then(|query| sessions.find(query));
    let body = match (session, request.method()) {
        (None, _) => sessions.open(),
        (Some(session), &Method::POST) => session.post(request.into_body()).await,
        (Some(session), _) => session.poll().await,
    };
    let mut response = Response::new(Full::new(body));
    let kind = HeaderValue::from_static("text/plain; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
