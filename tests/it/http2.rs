//! Clients over HTTP/2: they poll, or open a WebSocket by the extended CONNECT (RFC 8441).

use std::time::Duration;

use axum::Router;
use axum_socketio::{Namespace, SocketIo};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use proto::websocket::{DecoderConfig, FrameDecoder, Opcode, WebSocketEvent, masked_frame};
use tokio::net::TcpStream;

use crate::support::{
    Clock, POLLING, Reasons, Server, WEBSOCKET, echo, serve, serve_http2, settle, sid_in, within,
};

fn app() -> (Router, SocketIo, Reasons) {
    let (namespace, reasons) = echo();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .namespace("/other", Namespace::new())
        .build();
    (Router::new().layer(io.layer()), io, reasons)
}

async fn start() -> (Server, SocketIo, Reasons) {
    let (app, io, reasons) = app();
    (serve_http2(app).await, io, reasons)
}

/// Opens a session over polling.
pub(crate) async fn joined(server: &Server) {
    let client = Client::open(server).await;
    let (status, body) = client.ask(Method::GET, POLLING, "").await;
    assert_eq!(status, 200);
    let target = format!("{POLLING}&sid={}", sid_in(&body[1..]));
    let (_, answer) = client.ask(Method::POST, &target, "40").await;
    assert_eq!(answer, "ok");
}

/// One HTTP/2 connection.
struct Client(SendRequest<Bytes>);

impl Client {
    async fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addr).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(async move {
            // The connection ends with the test.
            let _ = connection.await;
        });
        Self(client)
    }

    /// Sends a request, and returns the status and the body of the response.
    async fn ask(&self, method: Method, target: &str, body: &str) -> (u16, String) {
        let (response, mut sender) = self.send(request(method, target), body.is_empty()).await;
        if !body.is_empty() {
            sender
                .send_data(Bytes::copy_from_slice(body.as_bytes()), true)
                .unwrap();
        }
        let response = within("an answer", response).await.unwrap();
        let status = response.status().as_u16();
        let mut stream = response.into_body();
        let mut text = Vec::new();
        while let Some(data) = within("a body", stream.data()).await {
            let data = data.unwrap();
            stream.flow_control().release_capacity(data.len()).unwrap();
            text.extend_from_slice(&data);
        }
        (status, String::from_utf8(text).unwrap())
    }

    async fn send(
        &self,
        request: Request<()>,
        end: bool,
    ) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        let mut client = within("the connection", self.0.clone().ready())
            .await
            .unwrap();
        client.send_request(request, end).unwrap()
    }

    /// Opens a WebSocket, or returns the refusal.
    async fn websocket(
        &self,
        target: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Ws, Response<RecvStream>> {
        // The server permits it in its settings, which arrive before its first response.
        within("the server's settings", async {
            while !self.0.is_extended_connect_protocol_enabled() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut request = request(Method::CONNECT, target);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        let (response, sender) = self.send(request, false).await;
        let response = within("an answer", response).await.unwrap();
        if response.status() != 200 {
            return Err(response);
        }
        let config = DecoderConfig {
            require_mask: false,
            ..DecoderConfig::default()
        };
        Ok(Ws {
            sender,
            protocol: response
                .headers()
                .get("sec-websocket-protocol")
                .map(|value| value.to_str().unwrap().to_owned()),
            receiver: response.into_body(),
            decoder: FrameDecoder::new(config),
            unread: Bytes::new(),
        })
    }
}

fn request(method: Method, target: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(format!("http://localhost{target}"))
        .body(())
        .unwrap()
}

const VERSION: (&str, &str) = ("sec-websocket-version", "13");

/// A WebSocket on a stream of HTTP/2.
struct Ws {
    sender: SendStream<Bytes>,
    receiver: RecvStream,
    protocol: Option<String>,
    decoder: FrameDecoder,
    unread: Bytes,
}

impl Ws {
    fn send(&mut self, text: &str) {
        let frame = masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]);
        self.sender.send_data(frame, false).unwrap();
    }

    async fn event(&mut self) -> Option<WebSocketEvent> {
        loop {
            let mut input = &self.unread[..];
            let event = self.decoder.next_event(&mut input).unwrap();
            self.unread = self.unread.slice_ref(input);
            if event.is_some() {
                return event;
            }
            let data = within("a message", self.receiver.data()).await?.ok()?;
            let flow = self.receiver.flow_control();
            flow.release_capacity(data.len()).unwrap();
            self.unread = data;
        }
    }

    async fn text(&mut self) -> String {
        match self.event().await {
            Some(WebSocketEvent::Text(text)) => text.to_string(),
            other => panic!("expected text, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_polls_over_http2() {
    let (server, io, mut reasons) = start().await;
    let client = Client::open(&server).await;
    let (status, open) = client.ask(Method::GET, POLLING, "").await;
    assert_eq!(status, 200);
    let target = format!("{POLLING}&sid={}", sid_in(&open[1..]));
    assert_eq!(
        client.ask(Method::POST, &target, "40").await,
        (200, "ok".to_owned())
    );
    let (_, connect) = client.ask(Method::GET, &target, "").await;
    assert!(connect.starts_with(r#"40{"sid":""#));
    // A pending poll and a POST share the connection.
    let before = server.begun();
    let poll = client.ask(Method::GET, &target, "");
    let post = async {
        server.arrived(before).await;
        client
            .ask(Method::POST, &target, r#"421["echo","h2"]"#)
            .await
    };
    let (poll, post) = tokio::join!(poll, post);
    assert_eq!(post, (200, "ok".to_owned()));
    assert_eq!(poll, (200, r#"431["h2"]"#.to_owned()));
    assert_eq!(client.ask(Method::POST, &target, "1").await.0, 200);
    assert_eq!(reasons.next().await, "transport close");
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_poll_that_is_reset_closes_the_session() {
    let (server, _io, mut reasons) = start().await;
    let client = Client::open(&server).await;
    let (_, open) = client.ask(Method::GET, POLLING, "").await;
    let target = format!("{POLLING}&sid={}", sid_in(&open[1..]));
    client.ask(Method::POST, &target, "40").await;
    client.ask(Method::GET, &target, "").await;
    let before = server.begun();
    let (response, mut sender) = client.send(request(Method::GET, &target), true).await;
    server.arrived(before).await;
    sender.send_reset(h2::Reason::CANCEL);
    drop(response);
    assert_eq!(reasons.next().await, "transport error");
    let (status, _) = client.ask(Method::GET, &target, "").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_client_opens_a_websocket_over_http2() {
    let (server, io, mut reasons) = start().await;
    let client = Client::open(&server).await;
    let mut ws = client.websocket(WEBSOCKET, &[VERSION]).await.unwrap();
    assert_eq!(ws.protocol, None);
    assert!(ws.text().await.starts_with(r#"0{"sid":""#));
    ws.send("40");
    assert!(ws.text().await.starts_with(r#"40{"sid":""#));
    ws.send(r#"421["echo","h2"]"#);
    assert_eq!(ws.text().await, r#"431["h2"]"#);
    io.emit("news", 1);
    assert_eq!(ws.text().await, r#"42["news",1]"#);
    // The second WebSocket is on the same connection.
    let mut second = client.websocket(WEBSOCKET, &[VERSION]).await.unwrap();
    assert!(second.text().await.starts_with(r#"0{"sid":""#));
    second.send("40/other,");
    assert!(second.text().await.starts_with("40/other,{"));
    assert_eq!(io.client_count(), 2);
    ws.sender.send_reset(h2::Reason::CANCEL);
    assert_eq!(reasons.next().await, "transport close");
    second.send("42/other,[]");
    assert_eq!(second.event().await, Some(WebSocketEvent::Close(None)));
    assert_eq!(second.event().await, None);
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_large_message_passes_the_flow_control_of_http2() {
    let (server, ..) = start().await;
    let client = Client::open(&server).await;
    let mut ws = client.websocket(WEBSOCKET, &[VERSION]).await.unwrap();
    ws.text().await;
    ws.send("40");
    ws.text().await;
    let large = "x".repeat(500_000);
    ws.send(&format!(r#"421["echo","{large}"]"#));
    assert_eq!(ws.text().await, format!(r#"431["{large}"]"#));
}

#[tokio::test]
async fn a_subprotocol_is_echoed_over_http2() {
    let (server, ..) = start().await;
    let client = Client::open(&server).await;
    let headers = [VERSION, ("sec-websocket-protocol", "first, second")];
    let ws = client.websocket(WEBSOCKET, &headers).await.unwrap();
    assert_eq!(ws.protocol.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_client_upgrades_over_http2() {
    let (server, io, _) = start().await;
    let client = Client::open(&server).await;
    let (_, open) = client.ask(Method::GET, POLLING, "").await;
    let sid = sid_in(&open[1..]);
    let target = format!("{POLLING}&sid={sid}");
    client.ask(Method::POST, &target, "40").await;
    client.ask(Method::GET, &target, "").await;
    io.emit("n", 1);
    let mut ws = client
        .websocket(&format!("{WEBSOCKET}&sid={sid}"), &[VERSION])
        .await
        .unwrap();
    ws.send("2probe");
    assert_eq!(ws.text().await, "3probe");
    let (_, news) = client.ask(Method::GET, &target, "").await;
    assert_eq!(news, r#"42["n",1]"#);
    for _ in 0..3 {
        let (_, released) = client.ask(Method::GET, &target, "").await;
        assert_eq!(released, "6");
    }
    io.emit("n", 2);
    ws.send("5");
    assert_eq!(ws.text().await, r#"42["n",2]"#);
    ws.send(r#"421["echo","h2"]"#);
    assert_eq!(ws.text().await, r#"431["h2"]"#);
    let (status, _) = client.ask(Method::GET, &target, "").await;
    assert_eq!(status, 400);
    let mut second = client
        .websocket(&format!("{WEBSOCKET}&sid={sid}"), &[VERSION])
        .await
        .unwrap();
    assert_eq!(second.event().await, Some(WebSocketEvent::Close(None)));
    ws.send(r#"421["echo","h2"]"#);
    assert_eq!(ws.text().await, r#"431["h2"]"#);
}

#[tokio::test]
async fn a_websocket_over_http2_is_refused_like_any_other() {
    let (server, ..) = start().await;
    let client = Client::open(&server).await;
    for (target, headers, status) in [
        (WEBSOCKET, &[][..], 400),
        (POLLING, &[VERSION], 400),
        ("/socket.io/?EIO=3&transport=websocket", &[VERSION], 400),
        (
            "/socket.io/?EIO=4&transport=websocket&sid=abc",
            &[VERSION],
            400,
        ),
    ] {
        let refusal = client.websocket(target, headers).await.err().unwrap();
        assert_eq!(refusal.status(), status, "{target}");
    }
    // Without the extended CONNECT, it is an ordinary request.
    let (status, body) = client.ask(Method::GET, WEBSOCKET, "").await;
    assert_eq!(
        (status, body.as_str()),
        (400, r#"{"code":3,"message":"Bad request"}"#)
    );
}

#[tokio::test]
async fn axum_serves_http2_too() {
    let (app, _io, _reasons) = app();
    let server = serve(app).await;
    let client = Client::open(&server).await;
    let mut ws = client.websocket(WEBSOCKET, &[VERSION]).await.unwrap();
    assert!(ws.text().await.starts_with(r#"0{"sid":""#));
}

#[tokio::test]
async fn a_body_that_takes_too_long_is_answered_408_and_ends_its_session() {
    let (server, io, mut reasons) = start().await;
    let clock = Clock::stop();
    let client = Client::open(&server).await;
    let (_, open) = client.ask(Method::GET, POLLING, "").await;
    let target = format!("{POLLING}&sid={}", sid_in(&open[1..]));
    client.ask(Method::POST, &target, "40").await;
    let before = server.begun();
    let (response, mut sender) = client.send(request(Method::POST, &target), false).await;
    server.arrived(before).await;
    sender.send_data(Bytes::from_static(b"42["), false).unwrap();
    clock.advance(Duration::from_secs(29)).await;
    assert_eq!(io.client_count(), 1);
    clock.advance(Duration::from_secs(1)).await;
    let response = within("an answer", response).await.unwrap();
    assert_eq!(response.status(), 408);
    assert!(response.headers().get("connection").is_none());
    assert_eq!(reasons.next().await, "transport error");
    let (status, _) = client.ask(Method::GET, &target, "").await;
    assert_eq!(status, 400, "the connection goes on, the session does not");
}

#[tokio::test]
async fn a_message_that_never_ends_ends_its_connection() {
    let (server, _io, mut reasons) = start().await;
    let clock = Clock::stop();
    let client = Client::open(&server).await;
    let mut ws = client.websocket(WEBSOCKET, &[VERSION]).await.ok().unwrap();
    assert!(ws.text().await.starts_with('0'));
    ws.send("40");
    assert!(ws.text().await.starts_with("40"));
    let part = masked_frame(Opcode::Text, b"42[", [1, 2, 3, 4]).slice(..8);
    ws.sender.send_data(part, false).unwrap();
    settle().await;
    clock.advance(Duration::from_secs(63)).await;
    assert_eq!(reasons.next().await, "transport error");
}
