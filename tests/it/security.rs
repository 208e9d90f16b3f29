//! Attacks that have brought other servers down, and a check of the tests that `docs/security.md` names.

use std::path::Path;

use axum::Json;
use axum_socketio::{Event as Name, Namespace, SocketIo};

use crate::support::{Http, Polling, WEBSOCKET, Ws, serve, start};

#[tokio::test]
async fn names_of_javascript_are_names_like_any_other() {
    let names = [
        "error",
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "then",
        "",
    ];
    let namespace = Namespace::new().fallback(async |Name(name): Name| Json(name));
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(axum::Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    for name in names {
        assert_eq!(
            client.ask(&format!("[{name:?}]")).await,
            format!("[{name:?}]")
        );
    }
    for nsp in ["/__proto__", "/constructor"] {
        client.send(&format!("40{nsp},")).await;
        let refusal = format!(r#"44{nsp},{{"message":"Invalid namespace"}}"#);
        assert_eq!(client.text().await, refusal);
    }
}

#[tokio::test]
async fn a_body_in_very_many_pieces_is_read() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let event = format!(r#"421["echo","{}"]"#, "x".repeat(100_000));
    let mut body = String::new();
    for piece in event.as_bytes().chunks(2) {
        let piece = str::from_utf8(piece).unwrap();
        body.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    body.push_str("0\r\n\r\n");
    let chunked = [("Transfer-Encoding", "chunked")];
    let mut http = Http::open(server.addr).await;
    let answer = http
        .ask("POST", &client.target(), &chunked, body.as_bytes())
        .await;
    assert_eq!(answer.brief(), (200, "ok"));
    assert!(client.poll().await.starts_with(r#"431["xxx"#));
}

#[tokio::test]
async fn a_request_with_very_many_headers_is_refused() {
    let (server, ..) = start(|io| io).await;
    let mut healthy = Ws::joined(server.addr).await;
    let names: Vec<_> = (0..3000).map(|n| format!("x-{n}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let answer = Http::open(server.addr)
        .await
        .ask("GET", WEBSOCKET, &headers, b"")
        .await;
    assert_eq!(answer.status, 431);
    healthy.alive().await;
}

#[tokio::test]
async fn ten_thousand_odd_requests_do_not_disturb_a_healthy_connection() {
    let (server, io, _) = start(|io| io).await;
    let mut healthy = Ws::joined(server.addr).await;
    let mut http = Http::open(server.addr).await;
    let odd = [
        "?",
        "?EIO",
        "?EIO=4&transport",
        "?EIO=4&transport=polling&sid=%ff",
        "?&&&&==&",
        "?EIO=%34&transport=polling",
        "?EIO=4&transport=polling&sid=__proto__",
        "?transport=websocket&EIO=4&sid=\u{fffd}",
        "?EIO=4&EIO=3&transport=polling",
        "?EIO=-1&transport=polling",
    ];
    for n in 0..10_000 {
        let query = odd[n % odd.len()].replace('\u{fffd}', "%EF%BF%BD");
        let method = ["GET", "PUT", "DELETE", "PATCH"][n % 4];
        let answer = http
            .ask(method, &format!("/socket.io/{query}"), &[], b"")
            .await;
        assert_eq!(answer.status, 400, "{method} {query}");
    }
    healthy.alive().await;
    assert_eq!(io.client_count(), 1);
}

/// Returns the tests that the document names, as `module::name`.
fn named_tests(page: &str) -> Vec<&str> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_test = |text: &&str| {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b':')
        };
        text.contains("::") && text.bytes().all(plain)
    };
    quoted
        .filter(is_test)
        .filter(|text| !text.starts_with("axum::"))
        .collect()
}

#[test]
fn the_tests_that_the_document_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let named = named_tests(&page);
    assert!(named.len() > 25, "{named:?}");
    for test in named {
        let (module, name) = test.rsplit_once("::").unwrap();
        let module = root.join("tests/it").join(module.replace("::", "/"));
        let source = std::fs::read_to_string(module.with_extension("rs"))
            .or_else(|_| std::fs::read_to_string(module.join("mod.rs")))
            .unwrap_or_else(|error| panic!("{test}: {error}"));
        assert!(
            source.contains(&format!("fn {name}(")),
            "there is no test {test}"
        );
    }
}
