//! A check that a server does the work that is measured: before any measurement, every event is sent once and its
//! answer read.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use axum_socketio_benches::contract::Report;
use axum_socketio_proto::websocket::{DecoderConfig, FrameDecoder, WebSocketEvent};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::net::{Request, event, event_with_ack, text_frame, upgrade};

/// Returns an error for the first answer that violates the contract.
pub fn check(server: SocketAddr, typed: bool) -> io::Result<()> {
    let mut client = Client::connect(server)?;
    client.ask(&text_frame(&event(&("echo", "x\"ö"))?))?;
    client.expect(&json!(["echo", "x\"ö"]))?;
    client.ask(Request::binary("binary", 300, 1).times(1))?;
    client.expect(&json!(["binary", {"_placeholder": true, "num": 0}]))?;
    client.expect_binary(300)?;
    client.ask(&text_frame(&event_with_ack(&("ack", "yes"))?))?;
    client.expect(&json!(["yes"]))?;
    client.ask(&text_frame(&event_with_ack(&("join", ["here"]))?))?;
    client.expect_start("430[")?;
    client.ask(&text_frame(&event(&("cast", "here", 2, "all"))?))?;
    for _ in 0..2 {
        client.expect(&json!(["cast", "all"]))?;
    }
    client.ask(&text_frame(&event_with_ack(&("leave", ["here"]))?))?;
    client.expect_start("430[")?;
    client.ask(&text_frame(&event(&("cast", "here", 1, "nobody"))?))?;
    if typed {
        let report = ("json".to_owned(), Report::sample());
        client.ask(&text_frame(&event(&report)?))?;
        client.expect(&report)?;
    }
    Ok(())
}

/// A blocking WebSocket, as this is not measured.
struct Client {
    stream: TcpStream,
    decoder: FrameDecoder,
    events: VecDeque<WebSocketEvent>,
}

impl Client {
    fn connect(server: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(upgrade("").as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let config = DecoderConfig {
            require_mask: false,
            ..DecoderConfig::default()
        };
        let mut client = Self {
            stream,
            decoder: FrameDecoder::new(config),
            events: VecDeque::new(),
        };
        client.expect_start("0{")?;
        client.ask(&text_frame("40"))?;
        client.expect_start("40{")?;
        Ok(client)
    }

    fn ask(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames)
    }

    fn expect_start(&mut self, start: &str) -> io::Result<()> {
        let text = self.text()?;
        if text.starts_with(start) {
            Ok(())
        } else {
            Err(differs(start, &text))
        }
    }

    /// Reads a text and compares its arguments as values, so that their format does not matter.
    fn expect<T: DeserializeOwned + PartialEq + Debug>(&mut self, args: &T) -> io::Result<()> {
        let text = self.text()?;
        let array = text
            .find('[')
            .and_then(|at| text.get(at..))
            .unwrap_or_default();
        let got: Option<T> = serde_json::from_str(array).ok();
        if got.as_ref() == Some(args) {
            Ok(())
        } else {
            Err(differs(&format!("{args:?}"), &text))
        }
    }

    fn expect_binary(&mut self, len: usize) -> io::Result<()> {
        match self.next()? {
            WebSocketEvent::Binary(data) if data == counting(len) => Ok(()),
            other => Err(differs("the same bytes", &format!("{other:?}"))),
        }
    }

    fn text(&mut self) -> io::Result<String> {
        loop {
            match self.next()? {
                // A heartbeat is ignored.
                WebSocketEvent::Text(text) if text == "2" => {}
                WebSocketEvent::Text(text) => return Ok(text.to_string()),
                other => return Err(differs("a text", &format!("{other:?}"))),
            }
        }
    }

    fn next(&mut self) -> io::Result<WebSocketEvent> {
        let mut buf = [0; 16 * 1024];
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let got = self.stream.read(&mut buf)?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut input = buf.get(..got).unwrap_or_default();
            while let Some(event) = self
                .decoder
                .next_event(&mut input)
                .map_err(io::Error::other)?
            {
                self.events.push_back(event);
            }
        }
    }
}

fn counting(len: usize) -> Bytes {
    (0..len).map(|at| at.to_le_bytes()[0]).collect()
}

fn differs(wanted: &str, got: &str) -> io::Error {
    let start = |text: &str| text.chars().take(200).collect::<String>();
    let (wanted, got) = (start(wanted), start(got));
    io::Error::other(format!(
        "breaks the contract: {wanted} was to come, not {got}"
    ))
}
