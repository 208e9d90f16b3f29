//! A client of WebSocket, which can send any bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use proto::websocket::{
    DecoderConfig, FrameDecoder, Opcode, WebSocketEvent, accept_key, close_frame, masked_frame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::{Answer, Http};
use super::{WEBSOCKET, sid_in, within};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0x11, 0x52, 0xa3, 0xf4];

/// A WebSocket.
pub(crate) struct Ws {
    stream: TcpStream,
    decoder: FrameDecoder,
    events: VecDeque<WebSocketEvent>,
    ended: bool,
}

/// The end of a WebSocket by the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The texts that arrived before.
    pub(crate) texts: Vec<String>,
    /// The code of the close frame. `Some(None)` is a close frame without a code, `None` an end without a close frame.
    pub(crate) close: Option<Option<u16>>,
}

/// Requests an upgrade, with additional headers.
pub(crate) async fn handshake(
    addr: SocketAddr,
    target: &str,
    more: &[(&str, &str)],
) -> (Answer, Http) {
    handshake_on(Http::open(addr).await, target, more).await
}

async fn handshake_on(mut http: Http, target: &str, more: &[(&str, &str)]) -> (Answer, Http) {
    let mut headers = vec![
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    headers.extend_from_slice(more);
    let answer = http.ask("GET", target, &headers, b"").await;
    (answer, http)
}

impl Ws {
    /// Opens a WebSocket without reading from it.
    pub(crate) async fn raw(addr: SocketAddr, target: &str) -> Result<Self, Answer> {
        let (answer, http) = handshake(addr, target, &[]).await;
        Self::on(answer, http)
    }

    /// Returns the WebSocket that a handshake has opened, or the response that refused it.
    pub(crate) fn on(answer: Answer, http: Http) -> Result<Self, Answer> {
        if answer.status != 101 {
            return Err(answer);
        }
        assert_eq!(
            answer.header("sec-websocket-accept"),
            Some(accept_key(KEY.as_bytes()).as_str())
        );
        let (stream, rest) = http.into_stream();
        let config = DecoderConfig {
            require_mask: false,
            max_message: 64 * 1024 * 1024,
        };
        let mut ws = Self {
            stream,
            decoder: FrameDecoder::new(config),
            events: VecDeque::new(),
            ended: false,
        };
        ws.decode(&rest);
        Ok(ws)
    }

    /// Opens a session over WebSocket.
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        let mut ws = Self::raw(addr, WEBSOCKET).await.unwrap();
        let open = ws.text().await;
        assert!(open.starts_with(r#"0{"sid":""#), "{open}");
        ws
    }

    /// Opens a session that has joined `/`, on a connection with a small receive buffer.
    pub(crate) async fn joined_narrow(addr: SocketAddr) -> Self {
        let http = Http::open_narrow(addr).await;
        let (answer, http) = handshake_on(http, WEBSOCKET, &[]).await;
        let mut ws = Self::on(answer, http).unwrap();
        ws.text().await;
        ws.join("/").await;
        ws
    }

    /// Opens a session that has joined `/`.
    pub(crate) async fn joined(addr: SocketAddr) -> Self {
        let mut ws = Self::open(addr).await;
        ws.join("/").await;
        ws
    }

    /// Opens a WebSocket to upgrade a polling session.
    pub(crate) async fn upgrade(addr: SocketAddr, sid: &str) -> Result<Self, Answer> {
        Self::raw(
            addr,
            &format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"),
        )
        .await
    }

    /// Joins a namespace and returns the socket's id.
    pub(crate) async fn join(&mut self, nsp: &str) -> String {
        let (ask, reply) = match nsp {
            "/" => ("40".to_owned(), "40".to_owned()),
            nsp => (format!("40{nsp},"), format!("40{nsp},")),
        };
        self.send(&ask).await;
        let text = self.text_but_pings().await;
        sid_in(
            text.strip_prefix(&reply)
                .unwrap_or_else(|| panic!("{text}")),
        )
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_raw(&masked_frame(Opcode::Text, text.as_bytes(), MASK))
            .await;
    }

    /// Sends many messages in one write.
    pub(crate) async fn send_all(&mut self, texts: &[&str]) {
        let frames: Vec<_> = texts
            .iter()
            .map(|text| masked_frame(Opcode::Text, text.as_bytes(), MASK))
            .collect();
        self.send_raw(&frames.concat()).await;
    }

    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        self.send_raw(&masked_frame(Opcode::Binary, data, MASK))
            .await;
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        within("the server reads", self.stream.write_all(bytes))
            .await
            .unwrap();
    }

    /// Reads this number of bytes and discards them: nothing else can be read after that.
    pub(crate) async fn skip(&mut self, bytes: usize) {
        let mut skipped = vec![0; bytes];
        let reading = self.stream.read_exact(&mut skipped);
        within("bytes", reading).await.unwrap();
    }

    /// Sends a close frame.
    pub(crate) async fn close(&mut self) {
        let frame = close_frame(None, "");
        self.send_raw(&[frame[0], 0x80, 0, 0, 0, 0]).await;
    }

    /// Returns the next event, or `None` at the end.
    pub(crate) async fn event(&mut self) -> Option<WebSocketEvent> {
        within("a message", self.read()).await
    }

    /// Waits until the server has read all sent bytes. Messages that arrive meanwhile are left to later calls.
    pub(crate) async fn is_read(&mut self) {
        self.send_raw(&masked_frame(Opcode::Ping, b"read?", MASK))
            .await;
        let mut before = VecDeque::new();
        loop {
            match self.event().await {
                Some(WebSocketEvent::Pong(_)) => break,
                Some(event) => before.push_back(event),
                None => panic!("the connection ended before the pong, after {before:?}"),
            }
        }
        before.append(&mut self.events);
        self.events = before;
    }

    async fn read(&mut self) -> Option<WebSocketEvent> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => self.ended = true,
                Ok(length) => self.decode(&buffer[..length]),
            }
        }
    }

    fn decode(&mut self, mut input: &[u8]) {
        while let Some(event) = self.decoder.next_event(&mut input).unwrap() {
            self.events.push_back(event);
        }
    }

    /// Returns the next message, which must be text.
    pub(crate) async fn text(&mut self) -> String {
        match self.event().await {
            Some(WebSocketEvent::Text(text)) => text.to_string(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    /// Returns the next text that is not a ping. Pings are answered.
    pub(crate) async fn text_but_pings(&mut self) -> String {
        loop {
            let text = self.text().await;
            if text != "2" {
                return text;
            }
            self.send("3").await;
        }
    }

    /// Returns the next message, which must be binary.
    pub(crate) async fn binary(&mut self) -> Bytes {
        match self.event().await {
            Some(WebSocketEvent::Binary(data)) => data,
            other => panic!("expected binary, got {other:?}"),
        }
    }

    /// Waits until the server ends the WebSocket, and closes it too.
    pub(crate) async fn ended(&mut self) -> Ended {
        let mut ended = Ended {
            texts: Vec::new(),
            close: None,
        };
        while let Some(event) = self.event().await {
            match event {
                WebSocketEvent::Text(text) => ended.texts.push(text.to_string()),
                WebSocketEvent::Close(close) => {
                    ended.close = Some(close.map(|close| close.code.get()))
                }
                _ => {}
            }
        }
        ended
    }

    /// Sends an event with an acknowledgement id, and returns the arguments of the answer.
    pub(crate) async fn ask(&mut self, event: &str) -> String {
        self.send(&format!("427{event}")).await;
        let text = self.text().await;
        text.strip_prefix("437")
            .unwrap_or_else(|| panic!("{event} got {text}"))
            .to_owned()
    }

    /// Asserts that the connection is alive, and that no other message was in flight.
    pub(crate) async fn alive(&mut self) {
        self.send(r#"42990["echo","alive"]"#).await;
        assert_eq!(self.text_but_pings().await, r#"43990["alive"]"#);
    }

    /// Shows that a namespace with [`echo`](super::echo) serves the client, which has joined it.
    pub(crate) async fn alive_in(&mut self, nsp: &str) {
        self.send(&format!(r#"42{nsp},990["echo","alive"]"#)).await;
        let answer = format!(r#"43{nsp},990["alive"]"#);
        assert_eq!(self.text_but_pings().await, answer);
    }

    /// Sends bytes as long as the server reads them, and waits until it closes the connection. No time limits that.
    pub(crate) async fn send_to_the_end(mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await;
    }
}
