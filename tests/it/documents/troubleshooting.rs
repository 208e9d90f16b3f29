//! The answers of the server that `docs/troubleshooting.md` quotes. The clients' messages are tested with the clients.

use std::future::{pending, ready};
use std::path::Path;

use axum::response::Html;
use axum::{Extension, Json, Router};
use axum_socketio::{Auth, Data, Limits, Namespace, SocketIo, SocketIoBuilder};

use crate::support::{Http, Logs, Server, Ws, serve};

const PAGE: &str = include_str!("../../../docs/troubleshooting.md");
const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn started(builder: SocketIoBuilder) -> Server {
    serve(Router::new().layer(builder.build().layer())).await
}

/// Sends a request with a head as it is on the wire, and returns the status and the body.
async fn ask(server: &Server, line: &str, headers: &str) -> (u16, String) {
    let mut http = Http::open(server.addr).await;
    http.send(format!("{line}\r\n{headers}\r\n").as_bytes())
        .await;
    let answer = http.answer(false).await;
    (answer.status, answer.text().to_owned())
}

#[track_caller]
fn quoted(text: &str) {
    assert!(PAGE.contains(text), "the page does not have {text}");
}

#[tokio::test]
async fn each_code_has_its_cause() {
    let server = started(SocketIo::builder().namespace("/", Namespace::new())).await;
    let host = "Host: localhost\r\n";
    let upgrade = &format!("{host}{WEBSOCKET}");
    let version_12 = &upgrade.replace("13", "12");
    let path = "/socket.io/?EIO=4&transport";
    let cases = [
        ("GET /socket.io/ HTTP/1.1".to_owned(), host, 0),
        (format!("GET {path}=flash HTTP/1.1"), host, 0),
        (
            format!("GET {path}=polling&sid=AAAAAAAAAAAAAAAAAAAA HTTP/1.1"),
            host,
            1,
        ),
        (format!("PUT {path}=polling HTTP/1.1"), host, 2),
        (format!("OPTIONS {path}=polling HTTP/1.1"), host, 2),
        (format!("GET {path}=websocket HTTP/1.1"), host, 3),
        (format!("GET {path}=polling HTTP/1.1"), upgrade, 3),
        (format!("GET {path}=websocket HTTP/1.1"), version_12, 3),
        // The default of nginx is HTTP/1.0.
        (format!("GET {path}=websocket HTTP/1.0"), upgrade, 3),
        (
            "GET /socket.io/?EIO=3&transport=polling HTTP/1.1".to_owned(),
            host,
            5,
        ),
        (
            "GET /socket.io/?transport=polling HTTP/1.1".to_owned(),
            host,
            5,
        ),
    ];
    for (line, headers, code) in cases {
        let (status, body) = ask(&server, &line, headers).await;
        assert_eq!(status, 400, "{line}");
        assert!(
            body.starts_with(&format!("{{\"code\":{code},")),
            "{line}: {body}"
        );
        quoted(&format!("`{body}`"));
    }
}

#[tokio::test]
async fn a_host_without_its_port_is_another_origin() {
    let server = started(SocketIo::builder::<()>().origins(["https://app.example.com"])).await;
    let line = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1";
    let origin = "Origin: http://localhost:8080\r\nHost: localhost";
    let (status, body) = ask(&server, line, &format!("{origin}\r\n")).await;
    assert_eq!(status, 403);
    quoted(&format!("`{body}`"));
    let (status, _) = ask(&server, line, &format!("{origin}:8080\r\n")).await;
    assert_eq!(status, 200, "as nginx sends with $http_host");
}

#[tokio::test]
async fn a_server_that_is_full_or_going_down_says_so_with_503() {
    let line = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1";
    let server = started(SocketIo::builder::<()>().limits(Limits::new().max_connections(0))).await;
    let (status, body) = ask(&server, line, "Host: localhost\r\n").await;
    assert_eq!(status, 503);
    quoted(&format!("`{body}`"));

    let address = |_: &_| Some([127, 0, 0, 1].into());
    let server = started(SocketIo::builder::<()>().max_connections_per_address(0, address)).await;
    let of_address = ask(&server, line, "Host: localhost\r\n").await;
    assert_eq!(of_address, (429, body));
    quoted("with the same body and 429 it is `max_connections_per_address`");

    let io = SocketIo::builder::<()>().build();
    let server = serve(Router::new().layer(io.layer())).await;
    io.graceful(ready(())).await;
    let (status, body) = ask(&server, line, "Host: localhost\r\n").await;
    assert_eq!((status, body.as_str()), (503, ""));
}

#[tokio::test]
async fn a_fallback_that_is_added_later_answers_first() {
    let io = SocketIo::builder().namespace("/", Namespace::new()).build();
    let page = async || Html("<!doctype html>");
    let server = serve(Router::new().layer(io.layer()).fallback(page)).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let answer = Http::once(server.addr, "GET", path).await;
    assert_eq!(answer.brief(), (200, "<!doctype html>"));
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    quoted("`content-type: text/html`");

    let server = serve(Router::new().merge(io.router()).fallback(page)).await;
    let answer = Http::once(server.addr, "GET", path).await;
    assert!(answer.text().starts_with("0{\"sid\":"));
    quoted("`0{\"sid\":`");
}

#[tokio::test]
async fn events_that_nobody_takes_are_answered() {
    async fn shout(Data(text): Data<String>) -> Json<String> {
        Json(text.to_uppercase())
    }
    async fn authenticate(Auth(_): Auth<String>) -> Extension<()> {
        pending().await
    }
    let namespace = Namespace::new().on("shout", shout);
    let guarded = Namespace::new().middleware(authenticate);
    let server = started(
        SocketIo::builder()
            .namespace("/", namespace)
            .namespace("/guarded", guarded),
    )
    .await;
    let mut client = Ws::joined(server.addr).await;
    let answer = client.ask(r#"["mesage"]"#).await;
    assert_eq!(answer, r#"[{"error":"no handler for \"mesage\""}]"#);
    quoted(r#"{ error: 'no handler for "mesage"' }"#);

    let error = "shout: invalid type: integer `5`, expected a string at argument 1";
    assert_eq!(
        client.ask(r#"["shout",5]"#).await,
        format!(r#"[{{"error":"{error}"}}]"#)
    );
    quoted(&format!("{{ error: '{error}' }}"));

    let error = "auth: invalid type: map, expected a string; auth is always an object";
    client.send(r#"40/guarded,{"token":"x"}"#).await;
    let refused = client.text().await;
    assert!(refused.contains(error), "{refused}");
    quoted(error);
}

#[tokio::test]
async fn the_log_says_what_the_page_quotes() {
    let logs = Logs::collect("warn");
    let server = started(
        SocketIo::builder()
            .namespace("/", Namespace::new())
            .limits(Limits::new().max_payload(100)),
    )
    .await;
    let mut client = Ws::joined(server.addr).await;
    client.send(&format!("42[\"{}\"]", "x".repeat(100))).await;
    client.ended().await;
    let text = "input of a client is refused: over max_payload";
    assert_eq!(logs.with(text).len(), 1, "{:?}", logs.records());
    quoted(&format!("`{text}`"));
    // The tests of the causes check that these are logged.
    let mut sources = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    crate::layers::sources(&root, &mut sources);
    let lines: Vec<_> = sources
        .iter()
        .flat_map(|(_, code)| code.lines())
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    for text in [
        "a layer around this server limits bodies to less than max_payload",
        "request body is slower than `body_timeout`",
        "message takes longer than `message_timeout`",
        "client does not read what is sent to it",
        "reading is paused until handlers have caught up",
        "second websocket of a session closed",
        "its `SocketIo` has no server",
    ] {
        quoted(text);
        let logged = lines.iter().any(|line| line.contains(text));
        assert!(logged, "it is not logged: {text}");
    }
}
