//! The paths at which a server can be mounted, and the service that answers at each of them. The pitfalls are those of
//! axum: these tests check the statements of the documents.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use axum_socketio::{Namespace, SocketIo};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::compression::{CompressionLayer, predicate::SizeAbove};

use crate::support::{Http, Polling, serve};

fn io() -> SocketIo {
    SocketIo::builder().namespace("/", Namespace::new()).build()
}

fn routes() -> Router {
    Router::new().route("/here", get(async || "here"))
}

/// Returns the name of the service that answers a handshake at this path, `ours` or `fallback`, or the status.
async fn who(app: Router, path: &str) -> String {
    let request = Request::get(format!("{path}?EIO=4&transport=polling"))
        .body(Body::empty())
        .unwrap();
    let response = app.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    match &*String::from_utf8_lossy(&body) {
        text if text.starts_with("0{\"sid\":") => "ours".to_owned(),
        "fallback" => "fallback".to_owned(),
        _ => status.as_u16().to_string(),
    }
}

async fn fallback() -> &'static str {
    "fallback"
}

const PATH: &str = "/socket.io/";

#[tokio::test]
async fn a_layer_over_routes_is_reached_with_and_without_the_last_slash() {
    assert_eq!(who(routes().layer(io().layer()), PATH).await, "ours");
    assert_eq!(
        who(routes().layer(io().layer()), "/socket.io").await,
        "ours"
    );
    assert_eq!(who(Router::new().layer(io().layer()), PATH).await, "ours");
}

#[tokio::test]
async fn only_its_own_path_is_the_layers() {
    for path in ["/socket.io/x", "/socket.iox", "/socket", "/here/socket.io/"] {
        assert_eq!(
            who(routes().fallback(fallback).layer(io().layer()), path).await,
            "fallback",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_fallback_before_the_layer_is_beneath_it() {
    assert_eq!(
        who(routes().fallback(fallback).layer(io().layer()), PATH).await,
        "ours"
    );
}

#[tokio::test]
async fn a_fallback_after_the_layer_replaces_it() {
    assert_eq!(
        who(routes().layer(io().layer()).fallback(fallback), PATH).await,
        "fallback"
    );
}

#[tokio::test]
async fn a_route_layer_is_not_reached() {
    assert_eq!(who(routes().route_layer(io().layer()), PATH).await, "404");
}

#[tokio::test]
async fn a_layer_in_a_nested_router_is_not_reached() {
    let nested = Router::new().nest("/api", routes().layer(io().layer()));
    assert_eq!(who(nested, "/api/socket.io/").await, "404");
}

#[tokio::test]
async fn a_merged_layer_is_reached_unless_there_is_a_fallback() {
    assert_eq!(
        who(Router::new().merge(routes().layer(io().layer())), PATH).await,
        "ours"
    );
    let with_fallback = Router::new()
        .fallback(fallback)
        .merge(routes().layer(io().layer()));
    assert_eq!(who(with_fallback, PATH).await, "fallback");
}

#[tokio::test]
async fn the_router_is_reached_wherever_it_is_merged_or_nested() {
    let io = io();
    let cases: [(&str, Router, &str); 6] = [
        ("merged", routes().merge(io.router()), PATH),
        (
            "without the slash",
            routes().merge(io.router()),
            "/socket.io",
        ),
        (
            "before a fallback",
            routes().merge(io.router()).fallback(fallback),
            PATH,
        ),
        (
            "after a fallback",
            Router::new().fallback(fallback).merge(io.router()),
            PATH,
        ),
        (
            "nested",
            Router::new().nest("/api", Router::new().merge(io.router())),
            "/api/socket.io/",
        ),
        (
            "nested twice",
            Router::new().nest("/a", Router::new().nest("/b", io.router())),
            "/a/b/socket.io/",
        ),
    ];
    for (name, app, path) in cases {
        assert_eq!(who(app, path).await, "ours", "{name}");
    }
    assert_eq!(
        who(routes().merge(io.router()).fallback(fallback), "/else").await,
        "fallback"
    );
}

#[tokio::test]
async fn the_service_does_not_look_at_the_path() {
    let io = io();
    let nested = Router::new().nest_service("/anywhere", io.service());
    assert_eq!(who(nested.clone(), "/anywhere").await, "ours");
    assert_eq!(who(nested, "/anywhere/").await, "ours");
    let exact = Router::new().route_service("/socket.io/", io.service());
    assert_eq!(who(exact.clone(), PATH).await, "ours");
    // axum takes a path literally, which is why `io.router()` has both.
    assert_eq!(who(exact, "/socket.io").await, "404");
}

#[tokio::test]
async fn the_path_can_be_chosen() {
    let io = SocketIo::builder::<()>()
        .path("/real/time/")
        .with_state(())
        .build();
    assert_eq!(who(routes().layer(io.layer()), "/real/time/").await, "ours");
    assert_eq!(
        who(Router::new().merge(io.router()), "/real/time").await,
        "ours"
    );
    assert_eq!(who(routes().layer(io.layer()), PATH).await, "404");
}

#[tokio::test]
async fn all_services_of_a_layer_share_their_sessions() {
    let io = io();
    let inner =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let (mut one, mut other) = (io.layer().layer(inner), io.layer().layer(inner));
    let ask = |sid: &str| {
        let uri = format!("/socket.io/?EIO=4&transport=polling{sid}");
        Request::post(uri.as_str()).body(Body::from("40")).unwrap()
    };
    let mut open = ask("");
    *open.method_mut() = "GET".parse().unwrap();
    let body = one
        .call(open)
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    let sid = text.split('"').nth(3).unwrap();
    let answer = other.call(ask(&format!("&sid={sid}"))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(io.client_count(), 1);
}

async fn announce(io: SocketIo, Json(text): Json<String>) -> StatusCode {
    if io.emit("announcement", text).ok() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::CONFLICT
    }
}

fn announcement() -> Request<Body> {
    let request = Request::post("/announce").header("content-type", "application/json");
    request.body(Body::from(r#""hello""#)).unwrap()
}

#[tokio::test]
async fn http_routes_take_the_server_from_the_layer_or_an_extension() {
    let io = io();
    let route = || Router::new().route("/announce", axum::routing::post(announce));
    for app in [
        route().layer(io.layer()),
        route().merge(io.router()).layer(Extension(io.clone())),
    ] {
        let answer = app.oneshot(announcement()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    let without = route().oneshot(announcement()).await.unwrap();
    assert_eq!(without.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = without.into_body().collect().await.unwrap().to_bytes();
    assert!(
        String::from_utf8_lossy(&body).contains(".layer(io.layer())"),
        "says which line is missing"
    );
}

#[tokio::test]
async fn other_requests_pass_untouched() {
    let app = Router::new()
        .route("/echo", any(async |body: String| body))
        .layer(io().layer());
    let request = Request::put("/echo?x=1")
        .body(Body::from("as it was"))
        .unwrap();
    let body = app
        .oneshot(request)
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(&body[..], b"as it was");
}

#[tokio::test]
async fn a_compression_layer_outside_compresses_what_polls_fetch() {
    let io = SocketIo::builder().build();
    let compression = CompressionLayer::new().compress_when(SizeAbove::new(1024));
    let server = serve(Router::new().layer(io.layer()).layer(compression)).await;
    let client = Polling::joined(server.addr).await;
    for (length, compressed) in [(10, false), (5_000, true)] {
        io.emit("text", "x".repeat(length));
        let gzip = [("Accept-Encoding", "gzip")];
        let mut http = Http::open(server.addr).await;
        let answer = http.ask("GET", &client.target(), &gzip, b"").await;
        assert_eq!(answer.status, 200);
        let coding = answer.header("content-encoding");
        assert_eq!(coding, compressed.then_some("gzip"), "{length}");
    }
}
