//! The handshake of a socket as Node.js describes it, for other servers.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

use super::handle::Inner;
use crate::rooms::HandshakeJson;
use proto::{always, decode_query};

impl HandshakeJson for Inner {
    fn json(&self) -> Cow<'_, str> {
        let request = self.client.handshake.parts();
        let url = request.uri.path_and_query();
        let auth = self.auth.as_deref().map(serde_json::from_str);
        let handshake = json!({
            "headers": headers(&request.headers),
            "time": date(self.issued),
            "address": "",
            "xdomain": request.headers.contains_key(header::ORIGIN),
            "secure": request.uri.scheme_str() == Some("https"),
            "issued": self.issued,
            "url": url.map_or("/", |url| url.as_str()),
            "query": query(self.client.handshake.query()),
            "auth": auth.and_then(Result::ok).unwrap_or_else(|| json!({})),
        });
        handshake.to_string().into()
    }
}

/// Returns the headers as Node.js has them: repeated ones are joined.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let joined = headers.keys().map(|name| {
        let separator = if name == header::COOKIE { "; " } else { ", " };
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (name.as_str().to_owned(), values.join(separator).into())
    });
    joined.collect()
}

/// Returns the parameters of a query. The last one counts if one is repeated, as in Node.js.
fn query(query: &str) -> Map<String, Value> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode_query(value).into_owned();
        (decode_query(key).into_owned(), value.into())
    });
    pairs.collect()
}

/// Returns a time as the text of a JavaScript date in UTC.
fn date(milliseconds: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
    let http = httpdate::fmt_http_date(time);
    let mut parts = http.split([' ', ',']).filter(|part| !part.is_empty());
    let mut next = || always(parts.next(), "a date has five parts");
    let (weekday, day, month, year, clock) = (next(), next(), next(), next(), next());
    format!("{weekday} {month} {day} {year} {clock} GMT+0000 (Coordinated Universal Time)")
}

/// Returns the present time in milliseconds since 1970, as JavaScript counts it.
pub(super) fn issued_now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let milliseconds = since.unwrap_or_default().as_millis();
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_time_is_the_text_of_a_date_in_javascript() {
        let expected = "Mon Nov 23 2026 07:59:20 GMT+0000 (Coordinated Universal Time)";
        assert_eq!(date(1_795_420_760_187), expected);
    }

    #[test]
    fn repeated_headers_are_joined_and_the_last_parameter_counts() {
        let mut repeated = HeaderMap::new();
        for (name, value) in [
            (header::COOKIE, "a=1"),
            (header::ACCEPT, "x"),
            (header::COOKIE, "b=2"),
            (header::ACCEPT, "y"),
        ] {
            repeated.append(name, HeaderValue::from_static(value));
        }
        let expected = json!({ "cookie": "a=1; b=2", "accept": "x, y" });
        assert_eq!(Value::Object(headers(&repeated)), expected);
        let parameters = query("EIO=4&a=1&a=%32&b&c=+d");
        let expected = json!({ "EIO": "4", "a": "2", "b": "", "c": " d" });
        assert_eq!(Value::Object(parameters), expected);
    }
}
