//! Plain HTTP requests to the routes beside Socket.IO.

use std::any::type_name;
use std::future::IntoFuture;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::app::TestApp;
use super::expect::{Expect, Waiting, fail};
use super::http1::{Http, add_cookie, add_header, text};

impl TestApp {
    /// Creates a GET request for a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> TestRequest {
        self.request(Method::GET, path)
    }

    /// Creates a POST request for a path.
    #[track_caller]
    pub fn post(&self, path: &str) -> TestRequest {
        self.request(Method::POST, path)
    }

    /// Creates a request with any method. The path may include a query.
    #[track_caller]
    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        TestRequest::new(self.clone(), method, path)
    }
}

/// A request that is sent when it is awaited; see [`TestApp::post`]. It returns a [`TestResponse`].
///
/// ```
/// # use axum_socketio::testing::TestApp;
/// # async fn f(app: TestApp) {
/// let login = app.post("/login").json(&("ann", "secret")).await.assert_status(204);
/// let id = login.cookie("id").expect("a session");
/// let client = app.connect("/").cookie("id", id).await;
/// # }
/// ```
///
/// # Panics
///
/// Panics if the request cannot be sent, or no response arrives within the [limit](TestApp::limit).
#[derive(Debug)]
#[must_use = "it is sent when it is awaited"]
pub struct TestRequest {
    app: TestApp,
    request: Request<Full<Bytes>>,
    expect: Expect,
}

impl TestRequest {
    #[track_caller]
    pub(super) fn new(app: TestApp, method: Method, path: &str) -> Self {
        let expect = Expect::within(app.limit);
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        match path.parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => expect.fail(format_args!("{path:?}: {error}")),
        }
        Self {
            app,
            request,
            expect,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let headers = self.request.headers_mut();
        add_header(headers, name.as_ref(), value.as_ref(), self.expect);
        self
    }

    /// Adds a cookie.
    pub fn cookie(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let headers = self.request.headers_mut();
        add_cookie(headers, name.as_ref(), value.as_ref(), self.expect);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// Sets the body to a value serialized as JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        let json = HeaderValue::from_static("application/json");
        self.request
            .headers_mut()
            .insert(header::CONTENT_TYPE, json);
        match serde_json::to_vec(body) {
            Ok(json) => self.body(json),
            Err(error) => self.expect.fail(format_args!("body: {error}")),
        }
    }

    async fn send(self) -> TestResponse {
        let Self {
            app,
            request,
            expect,
        } = self;
        let what = format!("an answer to {} {}", request.method(), request.uri());
        let answer = async {
            let mut http = Http::open(&app).await?;
            http.ask(request).await
        };
        let answer = expect
            .get(&what, answer, || "nothing came".to_owned())
            .await;
        match answer {
            Ok(response) => TestResponse { what, response },
            Err(error) => expect.fail(format_args!("expected {what}: {error}")),
        }
    }
}

impl IntoFuture for TestRequest {
    type Output = TestResponse;
    type IntoFuture = Waiting<'static, TestResponse>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// The response to a [`TestRequest`], with its complete body.
#[derive(Clone, Debug)]
pub struct TestResponse {
    /// A description of the response for error messages.
    what: String,
    response: Response<Bytes>,
}

impl TestResponse {
    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Asserts that the response has this status, and returns it.
    ///
    /// # Panics
    ///
    /// Panics if the status differs, and shows the body of the response.
    #[track_caller]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "to assert it may be all there is to do"
    )]
    pub fn assert_status(self, status: u16) -> Self {
        if self.status() != status {
            let (what, got, body) = (&self.what, self.status(), self.text());
            fail(format_args!(
                "expected {what} with {status}, got {got}: {body}"
            ));
        }
        self
    }

    /// Returns all headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the value of a header, if it is present and is text.
    #[must_use]
    pub fn header(&self, name: impl AsRef<str>) -> Option<&str> {
        self.headers().get(name.as_ref())?.to_str().ok()
    }

    /// Returns the value of a cookie that the response sets, unmodified.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let set = self.headers().get_all(header::SET_COOKIE).iter();
        let mut pairs =
            set.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()?.split_once('='));
        pairs.find_map(|(key, value)| (key.trim() == name).then_some(value.trim()))
    }

    /// Returns the body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.response.body()
    }

    /// Returns the body as text. Invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        text(self.bytes())
    }

    /// Deserializes the body from JSON.
    ///
    /// # Panics
    ///
    /// Panics if the body is not a `T`.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(self.bytes()) {
            Ok(value) => value,
            Err(error) => {
                let (what, kind, body) = (&self.what, type_name::<T>(), self.text());
                fail(format_args!(
                    "{what} is not a {kind}: {error}; it was {body}"
                ))
            }
        }
    }
}
