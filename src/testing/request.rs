//! Plain HTTP, for the routes beside Socket.IO.

use std::any::type_name;
use std::future::IntoFuture;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::expect::{Expect, fail};
use super::http1::{Http, add_cookie, add_header, text};
use super::{TestApp, Waiting};

/// A request that is sent when it is awaited; see [`TestApp::post`]. Its answer is a [`TestResponse`].
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
/// When it cannot be sent, or is not answered within the [limit](TestApp::limit).
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

    /// The body, as it is.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// The body, as JSON.
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

/// The answer to a [`TestRequest`], read to its end.
#[derive(Clone, Debug)]
pub struct TestResponse {
    /// What it is, for people.
    what: String,
    response: Response<Bytes>,
}

impl TestResponse {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Goes on only with this status.
    ///
    /// # Panics
    ///
    /// With any other, and the body of the answer.
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

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: impl AsRef<str>) -> Option<&str> {
        self.headers().get(name.as_ref())?.to_str().ok()
    }

    /// The value of a cookie that it sets, as it stands.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let set = self.headers().get_all(header::SET_COOKIE).iter();
        let mut pairs =
            set.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()?.split_once('='));
        pairs.find_map(|(key, value)| (key.trim() == name).then_some(value.trim()))
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.response.body()
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        text(self.bytes())
    }

    /// The body, read from JSON.
    ///
    /// # Panics
    ///
    /// When it is not a `T`.
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
