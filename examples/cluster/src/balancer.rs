//! A balancer of the simplest kind: it shows what the servers need from a real one, such as nginx or HAProxy.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::processes::Processes;

/// The time in which the head of a request has to arrive.
const HEAD: Duration = Duration::from_secs(10);

/// The way in which a server is chosen for a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// All requests of a client go to one server, whose name is in a cookie. Long-polling needs this.
    Sticky,
    /// The servers take turns. The page uses WebSocket alone, which is one request.
    RoundRobin,
}

impl Policy {
    /// The transports that clients may use, separated by commas.
    pub const fn transports(self) -> &'static str {
        match self {
            Self::Sticky => "polling,websocket",
            Self::RoundRobin => "websocket",
        }
    }
}

pub struct Balancer {
    processes: Arc<Processes>,
    policy: Policy,
    turn: AtomicUsize,
}

impl Balancer {
    pub const fn new(processes: Arc<Processes>, policy: Policy) -> Self {
        Self {
            processes,
            policy,
            turn: AtomicUsize::new(0),
        }
    }

    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            // A connection may be gone before it is accepted, or there may be too many.
            let Ok((stream, _)) = listener.accept().await else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let balancer = Arc::clone(&self);
            let service = hyper::service::service_fn(move |request| {
                let balancer = Arc::clone(&balancer);
                async move { Ok::<_, Infallible>(balancer.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match path.strip_prefix("/servers") {
            Some(_) if is_of_another_page(request.headers()) => {
                (StatusCode::FORBIDDEN, "a page of another origin").into_response()
            }
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                self.control(request.method(), rest).await
            }
            _ => self.forward(request).await,
        }
    }

    /// Answers `GET /servers`, `POST /servers/{name}/kill` and `POST /servers/{name}/start`.
    async fn control(&self, method: &Method, path: &str) -> Response<Body> {
        let done = match (method, path.trim_start_matches('/').split_once('/')) {
            (&Method::GET, None) => Ok(()),
            (&Method::POST, Some((name, "kill"))) if self.processes.knows(name).await => {
                self.processes.kill(name).await
            }
            (&Method::POST, Some((name, "start"))) if self.processes.knows(name).await => {
                self.processes.start(name).await
            }
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        match done {
            Ok(()) => Json(self.processes.states().await).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }

    async fn forward(&self, request: Request<Incoming>) -> Response<Body> {
        let wanted = match self.policy {
            Policy::Sticky => server_of(&request),
            Policy::RoundRobin => None,
        };
        let mut running = self.processes.running().await;
        let chosen = wanted.as_ref().and_then(|wanted| {
            let at = running.iter().position(|(name, _)| name == wanted);
            at.map(|at| running.swap_remove(at))
        });
        let chosen = chosen.or_else(|| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let at = turn.checked_rem(running.len())?;
            Some(running.swap_remove(at))
        });
        let Some((name, address)) = chosen else {
            return (StatusCode::SERVICE_UNAVAILABLE, "no server runs").into_response();
        };
        match send(address, request).await {
            Ok(mut response) => {
                if self.policy == Policy::Sticky && wanted.as_ref() != Some(&name) {
                    let cookie = format!("server={name}; Path=/; HttpOnly; SameSite=Lax");
                    if let Ok(cookie) = HeaderValue::try_from(cookie) {
                        response.headers_mut().append(SET_COOKIE, cookie);
                    }
                }
                response
            }
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }
}

/// Returns true if a page of another origin has made the request, which must not kill servers.
fn is_of_another_page(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let host = origin.as_bytes().strip_prefix(b"http://");
    host.is_none() || host != headers.get(HOST).map(HeaderValue::as_bytes)
}

/// Returns the server that the cookie of a request names.
fn server_of(request: &Request<Incoming>) -> Option<String> {
    let cookies = request.headers().get_all(COOKIE).into_iter();
    let cookies = cookies.filter_map(|value| value.to_str().ok());
    let mut cookies = cookies.flat_map(|value| value.split(';'));
    cookies.find_map(|cookie| Some(cookie.trim().strip_prefix("server=")?.to_owned()))
}

/// Sends a request to a server, over a connection of its own.
async fn send(
    address: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection.with_upgrades());
    let client = hyper::upgrade::on(&mut request);
    let mut response = sender.send_request(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        tokio::spawn(tunnel(client, hyper::upgrade::on(&mut response)));
    }
    Ok(response.map(Body::new))
}

/// Passes the bytes of a WebSocket on, in both directions.
async fn tunnel(client: OnUpgrade, server: OnUpgrade) {
    if let (Ok(client), Ok(server)) = (client.await, server.await) {
        let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
        // Either end may reset the connection.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_itself_kills_servers() {
        let is_foreign = |host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            is_of_another_page(&headers)
        };
        assert!(!is_foreign("127.0.0.1:3000", None));
        assert!(!is_foreign("127.0.0.1:3000", Some("http://127.0.0.1:3000")));
        for origin in ["http://evil.example", "http://127.0.0.1:3001", "null"] {
            assert!(is_foreign("127.0.0.1:3000", Some(origin)), "{origin}");
        }
        assert!(is_of_another_page(&HeaderMap::from_iter([(
            ORIGIN,
            HeaderValue::from_static("http://evil.example")
        )])));
    }
}
