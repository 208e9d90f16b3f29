//! The opening of a session, over either transport, and the reasons for which it is refused.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use axum_socketio::config::Transport;
use axum_socketio::{Limits, Namespace, SocketIo, Timeouts};
use tokio::sync::Notify;

use crate::support::{
    Answer, Clock, Http, POLLING, Polling, WEBSOCKET, Ws, echo, handshake, serve, sid_in, start,
    within,
};

const UNKNOWN_TRANSPORT: &str = r#"{"code":0,"message":"Transport unknown"}"#;
const UNKNOWN_SESSION: &str = r#"{"code":1,"message":"Session ID unknown"}"#;
const BAD_METHOD: &str = r#"{"code":2,"message":"Bad handshake method"}"#;
const BAD_REQUEST: &str = r#"{"code":3,"message":"Bad request"}"#;
const UNSUPPORTED: &str = r#"{"code":5,"message":"Unsupported protocol version"}"#;

#[track_caller]
fn refused(answer: &Answer, body: &str) {
    assert_eq!(answer.brief(), (400, body));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_polling_handshake_is_the_protocols_byte_for_byte() {
    let (server, ..) = start(|io| io).await;
    let answer = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let sid = sid_in(&answer.text()[1..]);
    assert_eq!(sid.len(), 20);
    assert_eq!(
        answer.text(),
        format!(
            r#"0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
        )
    );
}

#[tokio::test]
async fn a_websocket_handshake_is_the_protocols_byte_for_byte() {
    let (server, ..) = start(|io| {
        io.timeouts(
            Timeouts::new()
                .ping_interval(Duration::from_millis(1500))
                .ping_timeout(Duration::from_millis(700)),
        )
        .limits(Limits::new().max_payload(4321))
    })
    .await;
    let mut ws = Ws::raw(server.addr, WEBSOCKET).await.unwrap();
    let open = ws.text().await;
    let sid = sid_in(&open[1..]);
    assert_eq!(
        open,
        format!(
            r#"0{{"sid":"{sid}","upgrades":[],"pingInterval":1500,"pingTimeout":700,"maxPayload":4321}}"#
        )
    );
    // The heartbeat begins after the interval, not immediately.
    ws.join("/").await;
    ws.alive().await;
}

#[tokio::test]
async fn upgrades_are_offered_only_where_they_are_possible() {
    let (server, ..) = start(|io| io.transports([Transport::Polling])).await;
    let answer = Http::once(server.addr, "GET", POLLING).await;
    assert!(answer.text().contains(r#""upgrades":[],"#));
    let sid = sid_in(&answer.text()[1..]);
    let refusal = Ws::upgrade(server.addr, &sid).await.err().unwrap();
    refused(&refusal, UNKNOWN_TRANSPORT);
}

#[tokio::test]
async fn the_id_of_the_session_is_not_the_id_of_a_socket() {
    let (server, ..) = start(|io| io).await;
    let mut ws = Ws::raw(server.addr, WEBSOCKET).await.unwrap();
    let session = sid_in(&ws.text().await[1..]);
    let socket = ws.join("/").await;
    assert_eq!(socket.len(), 20);
    assert_ne!(session, socket);
}

#[tokio::test]
async fn a_transport_that_is_unknown_or_off_has_code_0() {
    let (server, ..) = start(|io| io).await;
    for query in [
        "",
        "?EIO=4",
        "?EIO=4&transport=abc",
        "?EIO=4&transport=__proto__",
        "?EIO=4&transport=webtransport",
        "?transport=abc&EIO=3",
    ] {
        let answer = Http::once(server.addr, "GET", &format!("/socket.io/{query}")).await;
        refused(&answer, UNKNOWN_TRANSPORT);
    }
    let (server, ..) = start(|io| io.transports([Transport::WebSocket])).await;
    refused(
        &Http::once(server.addr, "GET", POLLING).await,
        UNKNOWN_TRANSPORT,
    );
}

#[tokio::test]
async fn a_session_that_is_unknown_has_code_1() {
    let (server, ..) = start(|io| io).await;
    for sid in ["abc", "__proto__", "AAAAAAAAAAAAAAAAAAAA", "%00", "a%20b"] {
        for method in ["GET", "POST"] {
            let answer = Http::once(server.addr, method, &format!("{POLLING}&sid={sid}")).await;
            refused(&answer, UNKNOWN_SESSION);
        }
        let refusal = Ws::upgrade(server.addr, sid).await.err().unwrap();
        refused(&refusal, UNKNOWN_SESSION);
    }
}

#[tokio::test]
async fn an_empty_sid_is_none() {
    let (server, ..) = start(|io| io).await;
    let answer = Http::once(server.addr, "GET", &format!("{POLLING}&sid=")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with(r#"0{"sid":""#));
}

#[tokio::test]
async fn a_handshake_with_another_method_than_get_has_code_2() {
    let (server, ..) = start(|io| io).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        refused(&Http::once(server.addr, method, POLLING).await, BAD_METHOD);
    }
    let answer = Http::once(server.addr, "HEAD", POLLING).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn transports_and_upgrade_headers_that_disagree_have_code_3() {
    let (server, ..) = start(|io| io).await;
    refused(
        &Http::once(server.addr, "GET", WEBSOCKET).await,
        BAD_REQUEST,
    );
    let (answer, _) = handshake(server.addr, POLLING, &[]).await;
    refused(&answer, BAD_REQUEST);
    let client = Polling::open(server.addr).await;
    let answer = Http::once(
        server.addr,
        "GET",
        &format!("{WEBSOCKET}&sid={}", client.sid),
    )
    .await;
    refused(&answer, BAD_REQUEST);
    let (answer, _) = handshake(server.addr, &client.target(), &[]).await;
    refused(&answer, BAD_REQUEST);
}

#[tokio::test]
async fn another_revision_of_the_protocol_has_code_5() {
    let (server, ..) = start(|io| io).await;
    for version in ["", "&EIO=3", "&EIO=5", "&EIO=abc", "&EIO=", "&EIO=04"] {
        let target = format!("/socket.io/?transport=polling{version}");
        refused(&Http::once(server.addr, "GET", &target).await, UNSUPPORTED);
        let target = format!("/socket.io/?transport=websocket{version}");
        let refusal = Ws::raw(server.addr, &target).await.err().unwrap();
        refused(&refusal, UNSUPPORTED);
    }
}

#[tokio::test]
async fn a_session_keeps_its_revision() {
    let (server, ..) = start(|io| io).await;
    let client = Polling::open(server.addr).await;
    for version in ["", "&EIO=3", "&EIO=5"] {
        let target = format!("/socket.io/?transport=polling{version}&sid={}", client.sid);
        refused(&Http::once(server.addr, "GET", &target).await, BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_method_that_sessions_do_not_know_is_answered_500_and_harms_nothing() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = Http::once(server.addr, method, &client.target()).await;
        assert_eq!(answer.brief(), (500, ""));
    }
    client.send(r#"421["echo",1]"#).await;
    client.expect(&["431[1]"]).await;
}

#[tokio::test]
async fn a_session_that_ended_is_unknown() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.send("1").await;
    assert_eq!(reasons.next().await, "transport close");
    client.gone().await;
    refused(&client.post("40").await, UNKNOWN_SESSION);
}

#[tokio::test]
async fn a_websocket_without_its_version_or_key_is_refused() {
    let (server, ..) = start(|io| io).await;
    let mut http = Http::open(server.addr).await;
    for version in [None, Some("8"), Some("99"), Some("013"), Some("")] {
        let mut upgrade = vec![("Connection", "Upgrade"), ("Upgrade", "websocket")];
        upgrade.extend(version.map(|version| ("Sec-WebSocket-Version", version)));
        let answer = http.ask("GET", WEBSOCKET, &upgrade, b"").await;
        refused(&answer, BAD_REQUEST);
        assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    }
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
    ];
    let answer = http.ask("GET", WEBSOCKET, &headers, b"").await;
    refused(&answer, BAD_REQUEST);
}

#[tokio::test]
async fn the_first_subprotocol_is_echoed() {
    let (server, ..) = start(|io| io).await;
    let (answer, _) = handshake(
        server.addr,
        WEBSOCKET,
        &[("Sec-WebSocket-Protocol", "first, second")],
    )
    .await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-protocol"), Some("first"));
    let (answer, _) = handshake(server.addr, WEBSOCKET, &[]).await;
    assert_eq!(answer.header("sec-websocket-protocol"), None);
}

#[tokio::test]
async fn subprotocols_that_are_no_list_of_different_names_are_refused() {
    let (server, ..) = start(|io| io).await;
    for bad in ["", "a b", "a,,b", "a, a", "a,", "\"a\"", "a;b"] {
        let header = [("Sec-WebSocket-Protocol", bad)];
        let (answer, _) = handshake(server.addr, WEBSOCKET, &header).await;
        refused(&answer, BAD_REQUEST);
    }
}

#[tokio::test]
async fn the_query_may_be_escaped() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let escaped: String = client
        .sid
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let target = format!("/socket.io/?EIO=%34&transp%6Frt=%70olling&s%69d={escaped}");
    let mut http = Http::open(server.addr).await;
    let answer = http.ask("POST", &target, &[], br#"421["echo",1]"#).await;
    assert_eq!(answer.brief(), (200, "ok"));
    client.expect(&["431[1]"]).await;
    let mut ws = Ws::raw(server.addr, "/socket.io/?EIO=%34&transport=web%73ocket")
        .await
        .unwrap();
    assert!(ws.text().await.starts_with("0{"));
}

#[tokio::test]
async fn other_paths_reach_the_application_untouched() {
    async fn show(request: Request) -> String {
        let upgrade = request.headers().get("upgrade");
        format!(
            "{} {} {:?}",
            request.method(),
            request.uri(),
            upgrade.map(|value| value.to_str().unwrap_or_default())
        )
    }
    let io = SocketIo::builder().build();
    let app = Router::new()
        .route("/hello", get(show).post(show))
        .route("/socket.io/admin", get(show))
        .fallback(show)
        .layer(io.layer());
    let server = serve(app).await;
    for target in [
        "/hello?EIO=4&transport=polling",
        "/socket.io/admin",
        "/socket.iox/?EIO=4&transport=polling",
        "/x/socket.io/?EIO=4&transport=polling",
    ] {
        let answer = Http::once(server.addr, "GET", target).await;
        assert_eq!(answer.brief(), (200, format!("GET {target} None").as_str()));
        let (answer, _) = handshake(server.addr, target, &[]).await;
        let shown = format!("GET {target} Some(\"websocket\")");
        assert_eq!(answer.brief(), (200, shown.as_str()));
    }
    // The path belongs to the server with and without the slash at the end.
    for target in ["/socket.io?EIO=4&transport=polling", POLLING] {
        let answer = Http::once(server.addr, "GET", target).await;
        assert!(answer.text().starts_with('0'));
    }
}

#[tokio::test]
async fn a_client_joins_the_main_namespace_in_any_spelling() {
    let (server, ..) = start(|io| io).await;
    for spelling in [
        "40",
        "40/",
        "40/,",
        "40{}",
        "40/,{}",
        "405",
        r#"40{"token":"x"}"#,
    ] {
        let mut ws = Ws::open(server.addr).await;
        ws.send(spelling).await;
        let reply = ws.text().await;
        let id = sid_in(reply.strip_prefix("40").unwrap());
        assert_eq!(reply, format!(r#"40{{"sid":"{id}"}}"#), "{spelling}");
        ws.alive().await;
    }
}

#[tokio::test]
async fn a_client_joins_other_namespaces_with_or_without_a_comma() {
    let (server, ..) = start(|io| io.namespace("admin", Namespace::new())).await;
    for spelling in ["40/admin", "40/admin,", "40/admin,{}"] {
        let mut ws = Ws::open(server.addr).await;
        ws.send(spelling).await;
        let reply = ws.text().await;
        let id = sid_in(reply.strip_prefix("40/admin,").unwrap());
        assert_eq!(reply, format!(r#"40/admin,{{"sid":"{id}"}}"#));
        ws.join("/").await;
        ws.alive().await;
    }
}

#[tokio::test]
async fn an_unknown_namespace_is_refused_and_the_connection_stays_open() {
    let (server, ..) = start(|io| io).await;
    let mut ws = Ws::open(server.addr).await;
    for (ask, nsp) in [
        ("40/x,", "/x"),
        ("40/x", "/x"),
        ("40/?a=1,", "/?a=1"),
        ("40//,", "//"),
    ] {
        ws.send(ask).await;
        let expected = format!(r#"44{nsp},{{"message":"Invalid namespace"}}"#);
        assert_eq!(ws.text().await, expected);
    }
    ws.join("/").await;
    ws.alive().await;
}

#[tokio::test]
async fn a_client_may_leave_a_namespace_and_join_it_again() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let mut ws = Ws::open(server.addr).await;
    let first = ws.join("/").await;
    ws.send("41").await;
    assert_eq!(reasons.next().await, "client namespace disconnect");
    let second = ws.join("/").await;
    assert_ne!(first, second);
    ws.alive().await;
}

#[tokio::test]
async fn a_client_without_a_namespace_is_closed_after_the_timeout() {
    let (server, io, _) =
        start(|io| io.timeouts(Timeouts::new().connect_timeout(Duration::from_millis(50)))).await;
    let mut ws = Ws::open(server.addr).await;
    let mut polling = Polling::open(server.addr).await;
    assert_eq!(ws.ended().await.close, Some(None));
    // The poll may have been pending when the session ended, or may have arrived later.
    let end = polling.poll().await;
    assert!(["1", "6\x1e1"].contains(&end.as_str()), "{end}");
    polling.gone().await;
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_client_that_is_refused_everywhere_is_closed() {
    let (server, ..) =
        start(|io| io.timeouts(Timeouts::new().connect_timeout(Duration::from_millis(500)))).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send("40/x,").await;
    let ended = ws.ended().await;
    assert_eq!(ended.texts, [r#"44/x,{"message":"Invalid namespace"}"#]);
    assert_eq!(ended.close, Some(None));
}

#[tokio::test]
async fn a_slow_middleware_does_not_count_as_a_connect_timeout() {
    let (namespace, mut reasons) = echo();
    let slow = namespace.middleware(tokio::task::yield_now);
    let timeout = Duration::from_millis(500);
    let io = SocketIo::builder()
        .namespace("/", slow)
        .timeouts(Timeouts::new().connect_timeout(timeout))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut quiet = Ws::open(server.addr).await;
    quiet.join("/").await;
    // The end of another client, which connected later and joins nothing, shows that the time is over.
    let mut other = Ws::open(server.addr).await;
    other.ended().await;
    reasons.none();
    quiet.alive().await;
}

#[tokio::test]
async fn a_client_that_is_admitted_too_late_is_not_connected() {
    let gate = Arc::new(Notify::new());
    let opens = Arc::clone(&gate);
    let namespace = Namespace::new().middleware(move || {
        let gate = Arc::clone(&gate);
        async move { gate.notified().await }
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::open(server.addr).await;
    client.send("40").await;
    let clock = Clock::stop();
    clock.advance(Duration::from_secs(46)).await;
    // The POST is answered by the task, which has reached the deadline by then.
    client.send("6").await;
    opens.notify_one();
    client.send("6").await;
    assert_eq!(client.poll().await, "6\x1e1");
    assert_eq!(io.of("/").count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_middleware_that_never_decides_is_cut_short() {
    let namespace = Namespace::new().middleware(std::future::pending::<()>);
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .timeouts(Timeouts::new().connect_timeout(Duration::from_millis(50)))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send("40").await;
    assert_eq!(ws.ended().await.close, Some(None));
    within("no connection is left", async {
        while io.client_count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
