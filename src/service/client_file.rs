//! Answers with the browser client's files.

use axum_core::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::response::empty;
use crate::http::{ClientFile, ClientFiles};
use proto::always;

/// Returns the file that a request asks for, if it is one of the client's.
pub(super) fn asked<'f>(files: &'f ClientFiles, parts: &Parts) -> Option<&'f ClientFile> {
    let (_, name) = parts.uri.path().rsplit_once('/')?;
    files.get(name)
}

pub(super) fn answer(files: &ClientFiles, file: &ClientFile, parts: &Parts) -> Response<Body> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
        let allow = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allow);
        return response;
    }
    let known = parts.headers.get_all(header::IF_NONE_MATCH);
    if known.iter().any(|tags| names(tags, files.etag())) {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        for_caches(response.headers_mut(), files, file);
        return response;
    }
    let (coding, body) = choose(file, &parts.headers);
    let length = body.len();
    let body = match parts.method {
        Method::HEAD => Body::empty(),
        _ => Body::from(body.clone()),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        if file.is_map() { JSON } else { SCRIPT },
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    for_caches(headers, files, file);
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

/// Adds the headers for caches, which a response without the file has too.
fn for_caches(headers: &mut HeaderMap, files: &ClientFiles, file: &ClientFile) {
    headers.insert(header::ETAG, files.etag().clone());
    headers.insert(header::CACHE_CONTROL, CACHE);
    if file.brotli.is_some() || file.gzip.is_some() {
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

// The values are those of Node's server.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=0");
const SCRIPT: HeaderValue = HeaderValue::from_static("application/javascript; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Returns true if `If-None-Match` names this version, or any.
fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let (tags, etag) = (
        tags.to_str().unwrap_or_default(),
        always(etag.to_str().ok(), "an entity tag of the server is ASCII"),
    );
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Returns the smallest form of a file that the client accepts, and its coding.
fn choose<'f>(file: &'f ClientFile, headers: &HeaderMap) -> (Option<&'static str>, &'f Bytes) {
    let forms = [("br", &file.brotli), ("gzip", &file.gzip)];
    let mut forms = forms
        .into_iter()
        .filter_map(|(coding, data)| Some((coding, data.as_ref()?)));
    match forms.find(|(coding, _)| accepts(headers, coding)) {
        Some((coding, data)) => (Some(coding), data),
        None => (None, &file.plain),
    }
}

/// Returns true if `Accept-Encoding` names this coding with a weight above 0.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.map(str::trim).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").map(str::parse);
        name.trim().eq_ignore_ascii_case(coding) && !matches!(weight, Some(Ok(0.0) | Err(_)))
    })
}
