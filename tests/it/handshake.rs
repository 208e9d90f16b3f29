//! Hooks of the application for handshakes.

use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json, Router};
use axum_socketio::config::Transport;
use axum_socketio::{Limits, Namespace, Sid, Socket, SocketIo, SocketIoBuilder};
use serde_json::json;

use crate::support::{
    Answer, Http, Logs, POLLING, Polling, Server, WEBSOCKET, Ws, handshake, serve,
};

async fn start(builder: SocketIoBuilder) -> (Server, SocketIo) {
    let io = builder.build();
    (serve(Router::new().layer(io.layer())).await, io)
}

async fn get(server: &Server, target: &str, headers: &[(&str, &str)]) -> Answer {
    Http::open(server.addr)
        .await
        .ask("GET", target, headers, b"")
        .await
}

#[derive(Clone)]
struct Device(String);

/// Answers as the header `x-do` requests.
async fn decide(
    headers: HeaderMap,
    State(secret): State<&'static str>,
) -> Result<Extension<Device>, Response> {
    tokio::task::yield_now().await;
    let wish = headers.get("x-do").and_then(|wish| wish.to_str().ok());
    Err(match wish.unwrap_or_default() {
        wish if wish == secret => return Ok(Extension(Device("phone".to_owned()))),
        "text" => (
            StatusCode::UNAUTHORIZED,
            [("www-authenticate", "Bearer")],
            "who are you?",
        )
            .into_response(),
        "json" => (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "wait": 3 }))).into_response(),
        "compressed" => (
            StatusCode::TOO_MANY_REQUESTS,
            [("content-encoding", "gzip")],
            &b"\x1f\x8b\x08\x00"[..],
        )
            .into_response(),
        "redirect" => Redirect::to("/login").into_response(),
        _ => StatusCode::FORBIDDEN.into_response(),
    })
}

async fn guarded() -> (Server, SocketIo) {
    let device = Namespace::new().on(
        "device",
        async |Extension(Device(name)): Extension<Device>| Json(name),
    );
    let builder = SocketIo::builder()
        .namespace("/", device)
        .allow_request(decide);
    start(builder.with_state("open sesame")).await
}

#[tokio::test]
async fn an_application_refuses_handshakes_in_its_own_words() {
    let (server, io) = guarded().await;
    for (wish, status, body) in [
        ("", 403, r#"{"code":4,"message":"Forbidden"}"#),
        ("text", 401, r#"{"code":4,"message":"who are you?"}"#),
        ("json", 429, r#"{"wait":3}"#),
        (
            "compressed",
            429,
            r#"{"code":4,"message":"Too Many Requests"}"#,
        ),
        ("redirect", 303, r#"{"code":4,"message":"See Other"}"#),
    ] {
        let polling = get(&server, POLLING, &[("x-do", wish)]).await;
        let (websocket, _) = handshake(server.addr, WEBSOCKET, &[("x-do", wish)]).await;
        for answer in [polling, websocket] {
            assert_eq!((answer.status, answer.text()), (status, body), "{wish}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("content-encoding"), None);
        }
    }
    let answer = get(&server, POLLING, &[("x-do", "text")]).await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn allow_request_is_called_once_and_its_extensions_reach_sockets() {
    let (server, _io) = guarded().await;
    let (answer, http) = handshake(server.addr, WEBSOCKET, &[("x-do", "open sesame")]).await;
    let mut client = Ws::on(answer, http).unwrap();
    assert!(client.text().await.starts_with("0{"));
    client.join("/").await;
    assert_eq!(client.ask(r#"["device"]"#).await, r#"["phone"]"#);

    let mut http = Http::open(server.addr).await;
    let open = http
        .ask("GET", POLLING, &[("x-do", "open sesame")], b"")
        .await;
    let sid = open.text().split('"').nth(3).unwrap().to_owned();
    let target = format!("{POLLING}&sid={sid}");
    let post = http.ask("POST", &target, &[], b"40").await;
    assert_eq!(post.text(), "ok");
    let poll = http.ask("GET", &target, &[], b"").await;
    assert!(poll.text().starts_with("40{"), "{}", poll.text());
    assert!(Ws::upgrade(server.addr, &sid).await.is_ok());
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out_of_every_transport() {
    let builder = SocketIo::builder().origins(["https://app.example.com"]);
    let (server, _io) = start(builder).await;
    let open = Polling::open(server.addr).await;
    let session = open.target();
    let upgrade = format!("{WEBSOCKET}&sid={}", open.sid);
    for (origin, passes) in [
        ("https://app.example.com", true),
        ("http://localhost", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let header = [("Origin", origin)];
        let (opened, _) = handshake(server.addr, WEBSOCKET, &header).await;
        let mut answers = vec![(get(&server, POLLING, &header).await, 200), (opened, 101)];
        if !passes {
            let post = Http::open(server.addr)
                .await
                .ask("POST", &session, &header, b"40")
                .await;
            answers.push((post, 200));
            answers.push((get(&server, &session, &header).await, 200));
            answers.push((handshake(server.addr, &upgrade, &header).await.0, 101));
        }
        for (answer, success) in answers {
            if passes {
                assert_eq!(answer.status, success, "{origin}");
            } else {
                let refusal = r#"{"code":4,"message":"Forbidden"}"#;
                assert_eq!((answer.status, answer.text()), (403, refusal), "{origin}");
            }
        }
    }
    let (answer, _) = handshake(server.addr, WEBSOCKET, &[]).await;
    assert_eq!(answer.status, 101, "no browser");
}

#[tokio::test]
async fn a_session_that_opens_over_polling_sets_a_cookie_if_wanted() {
    let builder = SocketIo::builder().cookie("io", "Path=/; HttpOnly; SameSite=Lax");
    let (server, _io) = start(builder).await;
    let answer = get(&server, POLLING, &[]).await;
    let sid = answer.text().split('"').nth(3).unwrap().to_owned();
    let cookie = format!("io={sid}; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(answer.header("set-cookie"), Some(cookie.as_str()));
    let (answer, _) = handshake(server.addr, WEBSOCKET, &[]).await;
    assert_eq!(answer.header("set-cookie"), None, "as in Node");

    let (server, _io) = start(SocketIo::builder().cookie("sid", "")).await;
    let answer = get(&server, POLLING, &[]).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("sid=") && cookie.len() == 24, "{cookie}");
}

#[tokio::test]
async fn an_initial_packet_follows_the_open_packet() {
    let builder = SocketIo::builder().initial_packet("hello");
    let (server, _io) = start(builder).await;
    let answer = get(&server, POLLING, &[]).await;
    let (open, initial) = answer.text().split_once('\x1e').unwrap();
    assert!(open.starts_with(r#"0{"sid":""#));
    assert_eq!(initial, "4hello");
    let mut client = Ws::open(server.addr).await;
    assert_eq!(client.text().await, "4hello");
    client.join("/").await;
}

#[tokio::test]
async fn headers_of_answers_may_be_changed() {
    let builder = SocketIo::builder()
        .on_initial_headers(|headers, request| {
            let agent = request.headers.get("user-agent").cloned();
            headers.insert("x-first", agent.unwrap_or(HeaderValue::from_static("none")));
        })
        .on_headers(|headers, request| {
            let method = HeaderValue::from_str(request.method.as_str()).unwrap();
            headers.insert("x-all", method);
        });
    let (server, _io) = start(builder).await;
    let (answer, _) = handshake(server.addr, WEBSOCKET, &[("User-Agent", "curl")]).await;
    assert_eq!(
        (answer.header("x-first"), answer.header("x-all")),
        (Some("curl"), Some("GET"))
    );
    let open = get(&server, POLLING, &[]).await;
    assert_eq!(
        (open.header("x-first"), open.header("x-all")),
        (Some("none"), Some("GET"))
    );
    let sid = open.text().split('"').nth(3).unwrap().to_owned();
    let target = format!("{POLLING}&sid={sid}");
    let post = Http::open(server.addr)
        .await
        .ask("POST", &target, &[], b"40")
        .await;
    assert_eq!(
        (post.header("x-first"), post.header("x-all")),
        (None, Some("POST"))
    );
    let refused = get(&server, "/socket.io/?EIO=3&transport=polling", &[]).await;
    assert_eq!(
        (refused.header("x-first"), refused.header("x-all")),
        (None, None),
        "as in Node"
    );
}

#[tokio::test]
async fn a_handshake_that_is_sent_elsewhere_opens_no_session() {
    let builder = SocketIo::builder()
        .allow_request(async || Redirect::temporary("/elsewhere"))
        .on_initial_headers(|headers, _| {
            headers.insert("x-first", HeaderValue::from_static("yes"));
        });
    let (server, _io) = start(builder).await;
    let answer = get(&server, POLLING, &[]).await;
    assert_eq!((answer.status, answer.header("x-first")), (307, None));
    assert_eq!(answer.header("location"), Some("/elsewhere"));
}

#[test]
fn origins_are_as_browsers_write_them() {
    let take = |origin: &'static str| {
        std::panic::catch_unwind(|| drop(SocketIo::builder::<()>().origins([origin]))).is_ok()
    };
    for origin in [
        "https://app.example.com",
        "http://[::1]:3000",
        "HTTPS://App.example",
        "null",
    ] {
        assert!(take(origin), "{origin}");
    }
    for origin in [
        "*",
        "app.example.com",
        "https://",
        "https://a.b/",
        "https://*.a.b",
    ] {
        assert!(!take(origin), "{origin}");
    }
}

#[tokio::test]
async fn a_full_server_does_not_ask_the_application() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let builder = SocketIo::builder()
        .limits(Limits::new().max_connections(1))
        .allow_request(move || {
            count.fetch_add(1, Ordering::SeqCst);
            ready(())
        });
    let (server, _io) = start(builder).await;
    let mut first = Ws::joined(server.addr).await;
    assert_eq!(get(&server, POLLING, &[]).await.status, 503);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    first.close().await;
    first.ended().await;
    assert_eq!(get(&server, POLLING, &[]).await.status, 200);
}

#[tokio::test]
async fn a_refused_client_does_not_count_as_a_connection() {
    let builder = SocketIo::builder()
        .limits(Limits::new().max_connections(1))
        .allow_request(async || StatusCode::FORBIDDEN);
    let (server, _io) = start(builder).await;
    for _ in 0..3 {
        assert_eq!(get(&server, POLLING, &[]).await.status, 403);
    }
}

#[tokio::test]
async fn every_refused_request_reaches_the_hook_with_its_rule() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let builder = SocketIo::builder()
        .transports([Transport::Polling, Transport::WebSocket])
        .allow_request(async |headers: HeaderMap| match headers.get("x-no") {
            Some(_) => (StatusCode::PAYMENT_REQUIRED, "pay first"),
            None => (StatusCode::OK, ""),
        })
        .origins(["https://app.example.com"])
        .on_connection_error(move |error| {
            let path = error.request.uri.path().to_owned();
            let status = error.status.as_u16();
            tell.lock().unwrap().push((
                path,
                status,
                error.code,
                error.message.to_owned(),
                error.context,
            ));
        });
    let (server, _io) = start(builder).await;
    let sid = Polling::open(server.addr).await.sid;
    get(&server, "/socket.io/?EIO=4&transport=carrier-pigeon", &[]).await;
    get(&server, &format!("{POLLING}&sid=nobody"), &[]).await;
    Http::once(server.addr, "POST", POLLING).await;
    get(&server, WEBSOCKET, &[]).await;
    get(&server, &format!("{WEBSOCKET}&sid={sid}"), &[]).await;
    get(
        &server,
        &format!("/socket.io/?EIO=3&transport=polling&sid={sid}"),
        &[],
    )
    .await;
    get(&server, "/socket.io/?EIO=3&transport=polling", &[]).await;
    get(&server, POLLING, &[("Origin", "https://evil.example")]).await;
    get(&server, POLLING, &[("x-no", "1")]).await;
    let expected = [
        (400, 0, "Transport unknown", "TRANSPORT_UNKNOWN"),
        (400, 1, "Session ID unknown", "SESSION_UNKNOWN"),
        (400, 2, "Bad handshake method", "BAD_HANDSHAKE_METHOD"),
        (400, 3, "Bad request", "TRANSPORT_HANDSHAKE_ERROR"),
        (400, 3, "Bad request", "TRANSPORT_MISMATCH"),
        (400, 3, "Bad request", "PROTOCOL_MISMATCH"),
        (
            400,
            5,
            "Unsupported protocol version",
            "UNSUPPORTED_PROTOCOL_VERSION",
        ),
        (403, 4, "Forbidden", "INVALID_ORIGIN"),
        (402, 4, "pay first", "FORBIDDEN"),
    ]
    .map(|(status, code, message, context)| {
        (
            "/socket.io/".to_owned(),
            status,
            code,
            message.to_owned(),
            context,
        )
    });
    assert_eq!(*told.lock().unwrap(), expected);
}

#[tokio::test]
async fn connections_are_limited_in_all_until_some_are_over() {
    let (server, io) = start(SocketIo::builder().limits(Limits::new().max_connections(2))).await;
    let mut first = Ws::joined(server.addr).await;
    let _second = Polling::open(server.addr).await;
    let (websocket, _) = handshake(server.addr, WEBSOCKET, &[]).await;
    for answer in [get(&server, POLLING, &[]).await, websocket] {
        let refusal = r#"{"code":4,"message":"Too many connections"}"#;
        assert_eq!(answer.brief(), (503, refusal));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    first.close().await;
    first.ended().await;
    assert_eq!(io.client_count(), 1);
    Ws::joined(server.addr).await;
}

#[tokio::test]
async fn connections_are_limited_by_address() {
    let builder = SocketIo::builder().max_connections_per_address(1, |request| {
        let address = request.headers.get("x-real-ip")?;
        address.to_str().ok()?.parse().ok()
    });
    let logs = Logs::collect("warn");
    let (server, _io) = start(builder).await;
    let ann = [("x-real-ip", "203.0.113.5")];
    let (answer, http) = handshake(server.addr, WEBSOCKET, &ann).await;
    let mut first = Ws::on(answer, http).unwrap();
    let refused = get(&server, POLLING, &ann).await;
    let refusal = r#"{"code":4,"message":"Too many connections"}"#;
    assert_eq!(refused.brief(), (429, refusal));
    assert_eq!(logs.with("see max_connections_per_address").len(), 1);
    for headers in [&[("x-real-ip", "203.0.113.6")][..], &[], &[]] {
        assert_eq!(
            get(&server, POLLING, headers).await.status,
            200,
            "{headers:?}"
        );
    }
    first.close().await;
    first.ended().await;
    assert_eq!(get(&server, POLLING, &ann).await.status, 200);
}

#[tokio::test]
async fn handlers_see_the_address_as_the_server_received_it() {
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket, OriginalUri(uri): OriginalUri| {
            socket.insert(Device(uri.to_string()));
        })
        .on(
            "where",
            async |socket: Socket,
                   uri: Uri,
                   OriginalUri(original): OriginalUri,
                   Extension(extension): Extension<OriginalUri>| {
                assert_eq!(extension.0, original);
                assert_eq!(socket.get::<OriginalUri>().unwrap().0, original);
                assert_eq!(socket.get::<Device>().unwrap().0, original.to_string());
                Json((uri.to_string(), original.to_string()))
            },
        );
    let io = SocketIo::builder().namespace("/", namespace).build();
    let nested = Router::new().merge(io.router());
    let app = Router::new().merge(io.router()).nest("/api", nested);
    let server = serve(app).await;
    for prefix in ["", "/api"] {
        let target = format!("{prefix}{WEBSOCKET}&x=1");
        let Ok(mut ws) = Ws::raw(server.addr, &target).await else {
            panic!("{target} is refused");
        };
        assert!(ws.text().await.starts_with("0{"));
        ws.join("/").await;
        ws.send(r#"421["where"]"#).await;
        let expected = format!(r#"431[["{WEBSOCKET}&x=1","{target}"]]"#);
        assert_eq!(ws.text().await, expected);
    }
}

/// Returns the id in the open packet.
fn sid_of(answer: &Answer) -> String {
    let text = answer.text().trim_start_matches('0');
    let open: serde_json::Value = serde_json::from_str(text).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_application_generates_the_ids_of_sessions() {
    let next = AtomicUsize::new(0);
    let builder = SocketIo::builder()
        .allow_request(async || Extension(Device("tv".to_owned())))
        .generate_id(move |request| {
            let Device(device) = request.extensions.get().unwrap();
            let number = next.fetch_add(1, Ordering::Relaxed);
            let sid: Sid = format!("{device}-{number:017}").parse().unwrap();
            sid
        });
    let (server, _io) = start(builder).await;
    let answer = get(&server, POLLING, &[]).await;
    assert_eq!(sid_of(&answer), "tv-00000000000000000");
    let mut polling = Polling::joined(server.addr).await;
    assert_eq!(polling.sid, "tv-00000000000000001");
    polling.send("42[\"x\"]").await;
    let mut websocket = Ws::raw(server.addr, WEBSOCKET).await.unwrap();
    let open = websocket.text().await;
    assert!(
        open.starts_with(r#"0{"sid":"tv-00000000000000002""#),
        "{open}"
    );
    let mut upgraded = Ws::upgrade(server.addr, &polling.sid).await.unwrap();
    upgraded.send("2probe").await;
    assert_eq!(upgraded.text().await, "3probe");
}

#[tokio::test]
async fn a_client_without_a_usable_id_is_refused() {
    let logs = Logs::collect("error");
    let builder = SocketIo::builder().generate_id(|request| {
        let wish = request.headers.get("x-id").unwrap().to_str().unwrap();
        assert!(wish != "panic");
        wish.parse::<Sid>().ok()
    });
    let (server, io) = start(builder).await;
    let mut expected = vec![
        ("none", "it returned none"),
        ("--------------------", "the id is reserved"),
    ];
    for (id, fault) in &expected {
        let answer = get(&server, POLLING, &[("x-id", id)]).await;
        let refusal = r#"{"code":4,"message":"Internal server error"}"#;
        assert_eq!(answer.brief(), (500, refusal), "{fault}");
    }
    let answer = get(&server, POLLING, &[("x-id", "panic")]).await;
    assert_eq!(answer.status, 500);
    assert_eq!(io.metrics().hook_panics["generate_id"], 1);
    assert_eq!(io.client_count(), 0);

    let id = [("x-id", "00000000000000000001")];
    let opened = get(&server, POLLING, &id).await;
    assert_eq!((opened.status, io.client_count()), (200, 1));
    for target in [POLLING, WEBSOCKET] {
        let refused = match target {
            POLLING => get(&server, target, &id).await,
            _ => handshake(server.addr, target, &id).await.0,
        };
        assert_eq!(refused.status, 500);
        expected.push(("", "another connection has the id"));
    }
    // The refused requests have not touched the connection.
    let session = format!("{POLLING}&sid={}", sid_of(&opened));
    let mut http = Http::open(server.addr).await;
    let posted = http.ask("POST", &session, &[], b"1").await;
    assert_eq!(posted.status, 200);
    crate::support::until("the connection is over", || io.client_count() == 0).await;
    crate::support::settle().await;
    assert_eq!(
        get(&server, POLLING, &id).await.status,
        200,
        "it is free again"
    );
    for (_, fault) in &expected {
        assert!(!logs.with(fault).is_empty(), "{fault}");
    }
}
