//! An HTTP/1.1 connection to the application.

use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::app::TestApp;
use super::expect::Expect;

/// An HTTP/1.1 connection, which is closed when it is dropped, even with a request in flight.
#[derive(Debug)]
pub(super) struct Http {
    sender: SendRequest<Full<Bytes>>,
    io: JoinHandle<()>,
}

impl Http {
    pub(super) async fn open(app: &TestApp) -> Result<Self, hyper::Error> {
        let (sender, connection) = handshake(TokioIo::new(app.open())).await?;
        let io = tokio::spawn(async move {
            // Errors are returned to the sender of each request.
            let _ = connection.with_upgrades().await;
        });
        Ok(Self { sender, io })
    }

    /// Sends a request and returns the head of the response.
    pub(super) async fn begin(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().entry(header::HOST).or_insert(host);
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// Sends a request and reads the whole response.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, hyper::Error> {
        read(self.begin(request).await?).await
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.io.abort();
    }
}

/// Reads a response to its end.
pub(super) async fn read(response: Response<Incoming>) -> Result<Response<Bytes>, hyper::Error> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// Converts a body to text for error messages.
pub(super) fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// Adds a header, or fails the test if it is invalid.
pub(super) fn add_header(headers: &mut HeaderMap, name: &str, value: &str, expect: Expect) {
    let bad = |error: &dyn Display| -> ! { expect.fail(format_args!("header {name:?}: {error}")) };
    let key = HeaderName::try_from(name).unwrap_or_else(|error| bad(&error));
    let value = HeaderValue::try_from(value).unwrap_or_else(|error| bad(&error));
    headers.append(key, value);
}

/// Adds a cookie to those that are already set, in a single header as browsers do.
pub(super) fn add_cookie(headers: &mut HeaderMap, name: &str, value: &str, expect: Expect) {
    let others = headers.remove(header::COOKIE);
    let others = others.as_ref().and_then(|others| others.to_str().ok());
    let cookies = match others {
        Some(others) => format!("{others}; {name}={value}"),
        None => format!("{name}={value}"),
    };
    add_header(headers, header::COOKIE.as_str(), &cookies, expect);
}
