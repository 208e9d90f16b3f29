//! The options with which a client connects, and the ways in which it leaves.

use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{ConnectInfo, Query, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::Cookie;
use axum_socketio::config::Transport;
use axum_socketio::testing::{ConnectError, Disconnected, TestApp};
use axum_socketio::{Auth, Data, Namespace, Refused, Reply, Socket, SocketIo};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BOTH, clients, leaving, serve};

#[derive(Deserialize)]
struct Token {
    token: String,
}

async fn authenticate(Auth(auth): Auth<Token>) -> Result<Extension<String>, Refused> {
    match auth.token.strip_prefix("secret-") {
        Some(name) => Ok(Extension(name.to_owned())),
        None => Err(Refused::new("not authorized").data(json!({ "code": 7 }))),
    }
}

async fn whoami(Extension(name): Extension<String>) -> Json<String> {
    Json(name)
}

fn members() -> Namespace {
    Namespace::new()
        .middleware(authenticate)
        .on("whoami", whoami)
}

#[tokio::test(start_paused = true)]
async fn auth_reaches_the_middleware() {
    let (app, _io) = serve(members());
    for transport in BOTH {
        let connect = app.connect("/").transport(transport);
        let client = connect
            .auth(json!({ "token": "secret-ann" }))
            .await
            .unwrap();
        assert_eq!(client.emit_with_ack::<String>("whoami", ()).await, "ann");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_error_with_message_and_data() {
    let (app, _io) = serve(members());
    for transport in BOTH {
        let connect = app.connect("/").transport(transport);
        let refused = connect.auth(json!({ "token": "x" })).await.unwrap_err();
        let expected = ConnectError::Refused {
            message: "not authorized".to_owned(),
            data: Some(json!({ "code": 7 })),
        };
        assert_eq!(refused, expected);
        assert_eq!(refused.to_string(), "not authorized");

        let nowhere = app
            .connect("/nowhere")
            .transport(transport)
            .await
            .unwrap_err();
        assert_eq!(nowhere.to_string(), "Invalid namespace");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_may_refuse_the_handshake() {
    async fn refuse(_: Request, _: Next) -> Response {
        (StatusCode::UNAUTHORIZED, "who are you?").into_response()
    }
    let io = SocketIo::builder().namespace("/", Namespace::new()).build();
    let app = TestApp::new(Router::new().layer(io.layer()).layer(from_fn(refuse)));
    for transport in BOTH {
        let refused = app.connect("/").transport(transport).await.unwrap_err();
        let expected = ConnectError::Handshake {
            status: StatusCode::UNAUTHORIZED,
            body: "who are you?".to_owned(),
        };
        assert_eq!(refused, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_other_than_socket_io_is_an_error() {
    let app = TestApp::new(Router::new().fallback(async || "hello"));
    for (transport, words) in [
        (
            Transport::WebSocket,
            "the handshake was answered with 200 OK: hello",
        ),
        (Transport::Polling, "the connection ended: parse error"),
    ] {
        let error = app.connect("/").transport(transport).await.unwrap_err();
        assert_eq!(error.to_string(), words);
    }
}

#[tokio::test(start_paused = true)]
async fn auth_that_is_no_object_ends_the_connection() {
    let (app, _io) = serve(Namespace::new());
    for transport in BOTH {
        let ended = app.connect("/").transport(transport).auth("text").await;
        assert!(matches!(ended, Err(ConnectError::Closed(_))), "{ended:?}");
    }
}

#[derive(Deserialize)]
struct Lang {
    lang: String,
}

#[tokio::test(start_paused = true)]
async fn headers_cookies_query_and_address_reach_the_extractors() {
    async fn seen(
        headers: HeaderMap,
        jar: CookieJar,
        Query(query): Query<Lang>,
        ConnectInfo(addr): ConnectInfo<SocketAddr>,
    ) -> Reply<(Value, Value, String, SocketAddr)> {
        let agent = headers
            .get("user-agent")
            .and_then(|value| value.to_str().ok());
        let cookies: Vec<_> = ["a", "b"]
            .map(|name| jar.get(name).map(Cookie::value))
            .into();
        Reply((json!(agent), json!(cookies), query.lang, addr))
    }
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("seen", seen))
        .build();
    let router = Router::new().layer(io.layer()).layer(MockConnectInfo(addr));
    let app = TestApp::new(router);
    for transport in BOTH {
        let client = app
            .connect("/")
            .transport(transport)
            .header("User-Agent", "test")
            .cookie("a", "1")
            .cookie("b", "2")
            .query("lang=en")
            .await
            .unwrap();
        let expected = (json!("test"), json!(["1", "2"]), "en".to_owned(), addr);
        assert_eq!(
            client
                .emit_with_ack::<(Value, Value, String, SocketAddr)>("seen", ())
                .await,
            expected
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_of_an_http_login_opens_the_connection() {
    async fn login(jar: CookieJar, Json(name): Json<String>) -> (CookieJar, StatusCode) {
        (jar.add(Cookie::new("name", name)), StatusCode::NO_CONTENT)
    }
    async fn by_cookie(jar: CookieJar) -> Result<Extension<String>, StatusCode> {
        let name = jar.get("name").map(|cookie| cookie.value().to_owned());
        name.map(Extension).ok_or(StatusCode::UNAUTHORIZED)
    }
    let namespace = Namespace::new().middleware(by_cookie).on("whoami", whoami);
    let io = SocketIo::builder().namespace("/", namespace).build();
    let router = Router::new().route("/login", post(login)).layer(io.layer());
    let app = TestApp::new(router);
    assert!(app.connect("/").await.is_err());

    let login = app.post("/login").json("ann").await.assert_status(204);
    let cookie = login.cookie("name").unwrap();
    let client = app.connect("/").cookie("name", cookie).await.unwrap();
    assert_eq!(client.emit_with_ack::<String>("whoami", ()).await, "ann");
}

#[tokio::test(start_paused = true)]
async fn http_routes_are_asked_too() {
    async fn announce(io: SocketIo, Json(text): Json<String>) -> StatusCode {
        io.emit("announcement", text);
        StatusCode::ACCEPTED
    }
    async fn count(io: SocketIo) -> Json<usize> {
        Json(io.client_count())
    }
    let io = SocketIo::builder().namespace("/", Namespace::new()).build();
    let router = Router::new()
        .route("/announce", post(announce))
        .route("/count", get(count))
        .layer(io.layer());
    let app = TestApp::new(router);
    let clients = clients(&app).await;
    app.post("/announce")
        .json("down at six")
        .await
        .assert_status(202);
    for client in &clients {
        assert_eq!(client.next::<String>("announcement").await, "down at six");
    }
    let count = app.get("/count").await;
    assert_eq!(count.status(), StatusCode::OK);
    assert_eq!(count.header("content-type"), Some("application/json"));
    assert_eq!(count.json::<usize>(), 2);
    let refused = app.post("/announce").body("text").await;
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test(start_paused = true)]
async fn any_tower_service_at_any_path_will_do() {
    let (namespace, _reasons) = leaving();
    let io = SocketIo::builder().namespace("/", namespace).build();
    let app = TestApp::new(Router::new().nest("/api", io.router()));
    for transport in BOTH {
        let connect = app.connect("/").path("/api/socket.io/");
        connect.transport(transport).await.unwrap();
    }
    let app = TestApp::new(io.service());
    app.connect("/").path("/").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_connection_has_clients_in_several_namespaces() {
    let shout = async |Data(text): Data<String>| Json(text.to_uppercase());
    let io = SocketIo::builder()
        .namespace("/", Namespace::new())
        .namespace("/members", members().on("shout", shout))
        .build();
    let app = TestApp::new(Router::new().layer(io.layer()));
    for client in clients(&app).await {
        assert!(client.connect("members").await.is_err());
        let auth = json!({ "token": "secret-ann" });
        let member = client.connect("members").auth(auth).await.unwrap();
        assert_eq!((member.nsp(), client.nsp()), ("/members", "/"));
        assert_ne!(member.id(), client.id());
        assert_eq!(member.emit_with_ack::<String>("shout", "hi").await, "HI");

        io.of("/members").emit("news", 1);
        assert_eq!(member.next::<u8>("news").await, 1);
        client.expect_no("news").await;

        client.disconnect().await;
        assert!(member.is_connected() && !client.is_connected());
        assert_eq!(member.emit_with_ack::<String>("whoami", ()).await, "ann");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_leaves() {
    let (namespace, mut reasons) = leaving();
    let (app, io) = serve(namespace);
    for (client, others) in clients(&app).await.iter().zip([1, 0]) {
        client.disconnect().await;
        assert_eq!(client.disconnected().await, Disconnected::ByClient);
        let reason = reasons.recv().await.unwrap();
        assert_eq!(reason.as_str(), "client namespace disconnect");
        client.disconnect().await;
        assert_eq!(io.client_count(), others);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_learns_the_reason_of_its_disconnect() {
    let namespace = Namespace::new()
        .on("kick", async |socket: Socket| socket.disconnect())
        .on("close", async |io: SocketIo| io.close());
    let (app, _io) = serve(namespace);
    let clients = clients(&app).await;
    for client in &clients {
        client.emit("kick", ()).await;
        assert_eq!(client.disconnected().await, Disconnected::ByServer);
        assert!(!client.is_connected());
    }
    let last = app.connect("/").await.unwrap();
    last.emit("close", ()).await;
    assert_eq!(last.disconnected().await.as_str(), "transport close");
}
