//! The page, and the official client that drives it.

use std::path::PathBuf;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::state::AppState;

/// The version of the client that is fetched, or loaded from the CDN.
const VERSION: &str = "4.8.3";

pub fn routes() -> Router<AppState> {
    let file = |kind: &'static str, text: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)], text))
    };
    Router::new()
        .route(
            "/",
            file("text/html; charset=utf-8", include_str!("web/index.html")),
        )
        .route(
            "/style.css",
            file("text/css; charset=utf-8", include_str!("web/style.css")),
        )
        .route(
            "/app.js",
            file("text/javascript; charset=utf-8", include_str!("web/app.js")),
        )
        .route("/client/socket.io.esm.min.js", get(client))
}

/// Returns the folder into which npm installs the client: below `target/`, so that `cargo clean` removes it.
fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/target").into());
    target.join("chat-client")
}

fn client_file() -> PathBuf {
    folder().join("node_modules/socket.io-client/dist/socket.io.esm.min.js")
}

async fn client() -> Response {
    match tokio::fs::read(client_file()).await {
        Ok(file) => (
            [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
            file,
        )
            .into_response(),
        Err(_) => {
            let cdn = format!("https://cdn.socket.io/{VERSION}/socket.io.esm.min.js");
            (StatusCode::TEMPORARY_REDIRECT, Redirect::temporary(&cdn)).into_response()
        }
    }
}

/// Fetches the official client with npm, unless it has been fetched before. Without npm, the page loads it from the
/// CDN.
pub async fn fetch_client() {
    if client_file().exists() {
        return;
    }
    eprintln!("fetching socket.io-client {VERSION} with npm …");
    let fetched = tokio::process::Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--loglevel=error",
            "--prefix",
        ])
        .arg(folder())
        .arg(format!("socket.io-client@{VERSION}"))
        .stdout(std::process::Stdio::null())
        .status()
        .await;
    if !fetched.is_ok_and(|status| status.success()) {
        eprintln!("npm is not there or failed: the page will take the client from its CDN");
    }
}
