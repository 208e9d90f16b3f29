//! The page, and the official client that drives it.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use axum_socketio::config::ClientFiles;

/// The version of the client that is fetched.
const VERSION: &str = "4.8.3";

pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = |kind: &'static str, text: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)], text))
    };
    Router::new()
        .route(
            "/",
            file(
                "text/html; charset=utf-8",
                include_str!("../web/index.html"),
            ),
        )
        .route(
            "/style.css",
            file("text/css; charset=utf-8", include_str!("../web/style.css")),
        )
        .route(
            "/app.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("../web/app.js"),
            ),
        )
}

/// Returns the folder into which npm installs the client: below `target/`, so that `cargo clean` removes it.
fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target =
        target.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target").into());
    target.join("chat-client")
}

fn dist() -> PathBuf {
    folder().join("node_modules/socket.io-client/dist")
}

/// Returns the files of the official client, which the server serves at `/socket.io/`.
pub fn client_files() -> io::Result<Option<ClientFiles>> {
    dist()
        .exists()
        .then(|| ClientFiles::from_dir(dist()))
        .transpose()
}

/// Fetches the official client with npm, unless it has been fetched before. Without npm, the page loads it from the
/// CDN.
#[expect(clippy::print_stderr, reason = "it tells people what takes long")]
pub async fn fetch_client() {
    if dist().exists() {
        return;
    }
    eprintln!("fetching socket.io-client {VERSION} with npm …");
    let options = ["--no-audit", "--no-fund", "--no-save", "--loglevel=error"];
    let fetched = tokio::process::Command::new("npm")
        .arg("install")
        .args(options)
        .arg("--prefix")
        .arg(folder())
        .arg(format!("socket.io-client@{VERSION}"))
        .stdout(Stdio::null())
        .status()
        .await;
    if !fetched.is_ok_and(|status| status.success()) {
        eprintln!("npm is not there or failed: the page will take the client from its CDN");
    }
}
