//! The origins of pages, and the host that the server is reached by.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, header};

/// The origins whose pages may connect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    /// The list in the builder's options; all may connect if there is none.
    pub(crate) listed: Option<Arc<[HeaderValue]>>,
    pub(crate) own_scheme: OwnScheme,
}

impl Origins {
    /// Returns true if a page of the request's origin may connect. A request without an origin does not come from a
    /// page, and may.
    pub(crate) fn allow(&self, request: &Parts) -> bool {
        let Some(listed) = &self.listed else {
            return true;
        };
        let mut of_pages = request.headers.get_all(header::ORIGIN).iter();
        let Some(origin) = of_pages.next() else {
            return true;
        };
        if of_pages.next().is_some() {
            return false;
        }
        if listed.contains(origin) {
            return true;
        }
        let Some(page) = origin.to_str().ok().and_then(Page::parse) else {
            return false;
        };
        let text = format!("{}://{}", page.scheme, page.authority);
        let allowed =
            listed.iter().any(|listed| *listed == text) || page.is_of(request, self.own_scheme);
        if !allowed {
            let (host, origin) = (host(request), origin.to_str().ok());
            tracing::debug!(
                host,
                origin,
                "page is neither of a listed origin nor of this host"
            );
        }
        allowed
    }
}

/// The way in which the server knows that browsers reach it over TLS, for pages of its own host.
///
/// See [`SocketIoBuilder::own_scheme`](crate::SocketIoBuilder::own_scheme).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnScheme {
    /// The scheme of the request decides, which HTTP/2 has. HTTP/1.1 does not have it: then pages over `http` and
    /// `https` pass.
    #[default]
    Seen,
    /// Browsers always reach the server over TLS.
    Https,
    /// A proxy states the scheme in `X-Forwarded-Proto`, or as `proto` in `Forwarded` (RFC 7239). If the request has
    /// neither, this is [`Seen`](Self::Seen).
    Forwarded,
}

/// The origin of a page: in lower case, and without the port that its scheme has by default.
struct Page {
    scheme: String,
    authority: String,
}

impl Page {
    fn parse(origin: &str) -> Option<Self> {
        let origin = origin.to_ascii_lowercase();
        let (scheme, authority) = origin
            .split_once("://")
            .filter(|(_, page)| !page.is_empty())?;
        Some(Self {
            authority: without_default_port(scheme, authority).to_owned(),
            scheme: scheme.to_owned(),
        })
    }

    /// Returns true if the page is of the host that it requests. A page that was loaded without TLS may have been
    /// forged, so it does not count as one of a host that is reached over TLS.
    fn is_of(&self, request: &Parts, own: OwnScheme) -> bool {
        let host = host(request).unwrap_or_default().to_ascii_lowercase();
        let same = without_default_port(&self.scheme, &host) == self.authority;
        same && match &*self.scheme {
            "https" => true,
            "http" => !is_https(request, own),
            _ => false,
        }
    }
}

/// Normalizes an origin for comparisons: lower case, and without the default port of its scheme.
pub(crate) fn normalized(origin: &str) -> String {
    match Page::parse(origin) {
        Some(Page { scheme, authority }) => format!("{scheme}://{authority}"),
        None => origin.to_ascii_lowercase(),
    }
}

fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return authority,
    };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// Returns the host of a request; in HTTP/2 it is part of the address.
fn host(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers.get(header::HOST)?.to_str().ok(),
    }
}

/// Returns true if the client is known to have reached the server over TLS.
fn is_https(request: &Parts, own: OwnScheme) -> bool {
    let seen = || request.uri.scheme_str() == Some("https");
    match own {
        OwnScheme::Seen => seen(),
        OwnScheme::Https => true,
        OwnScheme::Forwarded => forwarded_https(request).unwrap_or_else(seen),
    }
}

/// Returns true if a proxy states `https`; `None` if no proxy states a scheme. One is enough, since the result only
/// ever refuses pages.
fn forwarded_https(request: &Parts) -> Option<bool> {
    let values = |name| {
        request
            .headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
    };
    let protos = values("x-forwarded-proto")
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let elements = values("forwarded").flat_map(|value| value.split([',', ';']));
    let pairs = elements.filter_map(|pair| pair.trim().split_once('='));
    let of_elements = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("proto"));
    let of_elements = of_elements.map(|(_, proto)| proto.trim_matches('"'));
    let mut all = protos.chain(of_elements).peekable();
    all.peek()?;
    Some(all.any(|proto| proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss")))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn allowed(origin: Option<&str>, host: &str) -> bool {
        let listed = HeaderValue::from_static("https://app.example.com");
        let origins = Origins {
            listed: Some([listed].into()),
            ..Origins::default()
        };
        let mut request = Request::builder().header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let own = origins.allow(&request.body(()).unwrap().into_parts().0);
        let mut request = Request::get(format!("https://{host}/"));
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let http2 = origins.allow(&request.body(()).unwrap().into_parts().0);
        assert_eq!(own, http2);
        own
    }

    #[test]
    fn listed_origins_and_the_servers_own_may_connect() {
        let host = "api.example.com:8443";
        assert!(allowed(Some("https://app.example.com"), host));
        assert!(allowed(Some("https://API.example.com:8443"), host));
        assert!(allowed(None, host), "no browser");
        for origin in [
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com.evil.example",
            "https://api.example.com",
            "null",
            "https://",
            "",
        ] {
            assert!(!allowed(Some(origin), host), "{origin}");
        }
    }

    fn own(origin: &str, own_scheme: OwnScheme, request: axum::http::request::Builder) -> bool {
        let origins = Origins {
            listed: Some([].into()),
            own_scheme,
        };
        let request = request.header(header::ORIGIN, origin).body(()).unwrap();
        origins.allow(&request.into_parts().0)
    }

    #[test]
    fn a_page_over_http_is_not_of_a_host_that_is_reached_over_tls() {
        use OwnScheme::{Forwarded, Https, Seen};

        let (plain, secure) = ("http://a.b", "https://a.b");
        let http1 = || Request::builder().header(header::HOST, "a.b");
        let http2 = || Request::get("https://a.b/");
        let by = |name: &str, value: &str| http1().header(name, value);
        for (own_scheme, request, is_https) in [
            (Seen, http1(), false),
            (Seen, http2(), true),
            (Seen, by("x-forwarded-proto", "https"), false),
            (Https, http1(), true),
            (Forwarded, http1(), false),
            (Forwarded, http2(), true),
            (Forwarded, by("x-forwarded-proto", "https"), true),
            (Forwarded, by("x-forwarded-proto", "http, HTTPS"), true),
            (Forwarded, by("x-forwarded-proto", "http"), false),
            (
                Forwarded,
                by("forwarded", "for=1.2.3.4;Proto=\"https\""),
                true,
            ),
            (Forwarded, by("forwarded", "for=1.2.3.4;proto=http"), false),
        ] {
            let request = request.body(()).unwrap().into_parts().0;
            let again = || {
                let mut builder = Request::builder().uri(request.uri.clone());
                *builder.headers_mut().unwrap() = request.headers.clone();
                builder
            };
            assert!(
                own(secure, own_scheme, again()),
                "{own_scheme:?} {request:?}"
            );
            assert_eq!(
                own(plain, own_scheme, again()),
                !is_https,
                "{own_scheme:?} {request:?}"
            );
        }
    }

    #[test]
    fn hosts_and_ports_of_a_page_are_compared_exactly() {
        for (origin, host, same) in [
            ("https://a.b", "a.b:443", true),
            ("https://a.b:443", "a.b", true),
            ("http://a.b", "a.b:80", true),
            ("https://a.b", "a.b:80", false),
            ("https://a.b:8443", "a.b", false),
            ("https://a.b", "a.b:8443", false),
            ("HTTPS://A.b", "a.B", true),
            ("https://a.b.", "a.b", false),
            ("https://a.b.", "a.b.", true),
            ("https://[::1]:3000", "[::1]:3000", true),
            ("https://[::1]", "[::1]:443", true),
            ("https://[::443]", "[::443]", true),
            ("ftp://a.b", "a.b", false),
            ("null", "null", false),
            ("https://", "", false),
        ] {
            let request = Request::builder().header(header::HOST, host);
            assert_eq!(
                own(origin, OwnScheme::Seen, request),
                same,
                "{origin} {host}"
            );
        }
        let two = Request::builder()
            .header(header::HOST, "a.b")
            .header(header::ORIGIN, "https://evil");
        assert!(!own("https://a.b", OwnScheme::Seen, two), "two of them");
    }
}
