//! The question to the application if a client may open a connection.

use axum_core::body::Body;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use serde_json::json;

use super::refusal::{FORBIDDEN, Refusal, finish, refuse as refuse_request};
use super::request_context::RequestContext;
use crate::http::{AllowRequest, ConnectionError, Content, INTERNAL_ERROR, error_message, reason};
use crate::logs::TypeName;
use crate::metrics::{Hook, RequestRule};
use crate::panics::guarded_future;
use crate::server::Server;

/// Asks the application. Returns the request with the extensions of the answer, or the response that refuses it.
pub(super) async fn admit(
    allow: &AllowRequest,
    context: &RequestContext,
    mut parts: Parts,
) -> Result<Parts, Response<Body>> {
    let mut request = Request::from_parts(parts.clone(), Body::empty());
    request.extensions_mut().remove::<OnUpgrade>();
    request.extensions_mut().insert(context.io.clone());
    let answer = match guarded_future(|| (allow.call)(request)).await {
        Ok(answer) => answer,
        Err(panicked) => {
            context.server.report_panic(Hook::AllowRequest, &panicked);
            return Err(refuse_request(
                Refusal::InternalError,
                &context.server,
                Some(&parts),
            ));
        }
    };
    if answer.status().is_success() {
        parts.extensions.extend(answer.into_parts().0.extensions);
        return Ok(parts);
    }
    Err(refuse(&context.server, allow.handler, &parts, answer).await)
}

/// Returns the application's own answer. An answer other than JSON is put into the JSON of the protocol.
async fn refuse(
    server: &Server,
    handler: TypeName,
    request: &Parts,
    answer: Response<Body>,
) -> Response<Body> {
    let mut headers = answer.headers().clone();
    // A compressed body cannot be read, so the status stands for it.
    let unread = headers.remove(header::CONTENT_ENCODING).is_some();
    let (status, content) = Content::of(answer).await;
    let (message, body) = match content {
        _ if unread => with_code(reason(status)),
        Content::Json(json) => {
            let message = error_message(json.get()).unwrap_or_else(|| reason(status));
            (message, json.get().to_owned())
        }
        // Usually the text is the rejection of an extractor.
        Content::Text(error) if status == StatusCode::INTERNAL_SERVER_ERROR => {
            let (_, body) = with_code(INTERNAL_ERROR.to_owned());
            (error, body)
        }
        Content::Text(message) => with_code(message),
        Content::Empty => with_code(reason(status)),
    };
    tracing::debug!(%status, error = message, "connection not allowed");
    if status.is_server_error() {
        server.report_not_allowed(handler, status, &message);
    }
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let error = ConnectionError {
        code: FORBIDDEN,
        message: &message,
        status,
        context: RequestRule::Forbidden.as_str(),
        request,
    };
    finish(RequestRule::Forbidden, Some(&error), response, server)
}

fn with_code(message: String) -> (String, String) {
    let body = json!({ "code": FORBIDDEN, "message": message }).to_string();
    (message, body)
}
