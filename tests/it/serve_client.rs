//! The files of the browser client.

use std::path::PathBuf;

use axum::Router;
use axum::routing::get;
use axum_socketio::config::ClientFiles;
use axum_socketio::{SocketIo, embed_client};

use crate::support::{Answer, Http, Polling, Server, Ws, serve};

const SCRIPT: &str = "/*!\n * Socket.IO v4.9.9\n */\nlet io;";

/// Creates a folder like that of an installed client.
fn dist(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    for (name, content) in files {
        std::fs::write(dir.join(name), content).unwrap();
    }
    dir
}

async fn start(name: &str) -> (Server, SocketIo) {
    let dir = dist(
        name,
        &[
            ("socket.io.js", SCRIPT),
            ("socket.io.js.map", "{}"),
            ("socket.io.min.js", "plain"),
            ("socket.io.min.js.br", "brotli"),
            ("socket.io.min.js.gz", "gzip"),
            ("secret.js", "not one of them"),
        ],
    );
    let io = SocketIo::builder()
        .serve_client(ClientFiles::from_dir(dir).unwrap())
        .build();
    let routes = Router::new().route("/", get(async || "home"));
    (serve(routes.layer(io.layer())).await, io)
}

async fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    Http::open(server.addr)
        .await
        .ask(method, path, headers, b"")
        .await
}

#[tokio::test]
async fn files_are_served_as_nodes_server_does() {
    let (server, _io) = start("names").await;
    for (path, kind, body) in [
        (
            "/socket.io/socket.io.js",
            "application/javascript; charset=utf-8",
            SCRIPT,
        ),
        (
            "/socket.io/socket.io.js?v=1",
            "application/javascript; charset=utf-8",
            SCRIPT,
        ),
        (
            "/socket.io/socket.io.js.map",
            "application/json; charset=utf-8",
            "{}",
        ),
    ] {
        let answer = ask(&server, "GET", path, &[]).await;
        assert_eq!(answer.brief(), (200, body), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=0"));
        assert_eq!(answer.header("etag"), Some("\"4.9.9\""));
        assert_eq!(answer.header("vary"), None);
    }
    let head = ask(&server, "HEAD", "/socket.io/socket.io.js", &[]).await;
    let length = SCRIPT.len().to_string();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some(length.as_str()))
    );
    let post = ask(&server, "POST", "/socket.io/socket.io.js", &[]).await;
    assert_eq!(
        (post.status, post.header("allow")),
        (405, Some("GET, HEAD"))
    );
    for path in [
        "/socket.io/secret.js",
        "/socket.io/socket.io.esm.min.js",
        "/socket.io/x/socket.io.js",
        "/socket.io.js",
    ] {
        assert_eq!(ask(&server, "GET", path, &[]).await.status, 404, "{path}");
    }
    Ws::joined(server.addr).await.close().await;
    Polling::joined(server.addr).await;
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let (server, _io) = start("etag").await;
    for (tags, status) in [
        ("\"4.9.9\"", 304),
        ("W/\"4.9.9\"", 304),
        ("\"1\", W/\"4.9.9\"", 304),
        ("*", 304),
        ("\"4.9.8\"", 200),
        ("4.9.9", 200),
    ] {
        let known = [("If-None-Match", tags)];
        let answer = ask(&server, "GET", "/socket.io/socket.io.js", &known).await;
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.header("etag"), Some("\"4.9.9\""));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=0"));
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn a_file_that_was_compressed_beforehand_is_sent_to_who_takes_it() {
    let (server, _io) = start("compressed").await;
    for (accepted, coding, body) in [
        ("gzip, deflate, br", Some("br"), "brotli"),
        ("gzip", Some("gzip"), "gzip"),
        ("br;q=0, GZIP;q=0.5", Some("gzip"), "gzip"),
        ("deflate", None, "plain"),
        ("br;q=0", None, "plain"),
        ("", None, "plain"),
    ] {
        let headers = [("Accept-Encoding", accepted)];
        let answer = ask(&server, "GET", "/socket.io/socket.io.min.js", &headers).await;
        assert_eq!(
            (answer.header("content-encoding"), answer.text()),
            (coding, body),
            "{accepted}"
        );
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    }
}

#[tokio::test]
async fn files_are_there_however_the_server_is_mounted() {
    let files = embed_client!(
        "tests/fixtures/client",
        ["socket.io.min.js", "socket.io.min.js.map"]
    );
    let io = SocketIo::builder().path("/ws").serve_client(files).build();
    let app = Router::new()
        .merge(io.router())
        .nest("/api", Router::new().merge(io.router()))
        .nest_service("/own", io.service())
        .fallback(async || "fallback");
    let server = serve(app).await;
    for path in ["/ws", "/api/ws", "/own"] {
        let answer = ask(&server, "GET", &format!("{path}/socket.io.min.js"), &[]).await;
        assert!(
            answer.text().ends_with("let embedded;\n"),
            "{path}: {}",
            answer.text()
        );
        assert_eq!(answer.header("etag"), Some("\"9.8.7\""));
        let other = ask(&server, "GET", &format!("{path}/socket.io.js"), &[]).await;
        assert_ne!(
            other.status == 200,
            path == "/own",
            "{path}: {}",
            other.text()
        );
    }
}

#[test]
fn a_folder_without_the_client_is_an_error() {
    let dir = dist("empty", &[("index.js", "")]);
    let error = ClientFiles::from_dir(&dir).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(ClientFiles::from_dir(dir.join("nowhere")).is_err());
}
