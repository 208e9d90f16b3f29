//! The WebSocket transport, used from the start.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::select;
use http::{HeaderValue, Method, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;

use super::app::TestApp;
use super::connection::{ClientConnection, SharedState, ToSend};
use super::error::{ConnectError, Disconnected};
use super::handshake_request::HandshakeRequest;
use super::http1;
use super::http1::Http;
use proto::always;
use proto::engine_io::{Message, Packet, Transport};
use proto::websocket::{DecoderConfig, FrameDecoder, Opcode, WebSocketEvent, masked_frame};

/// The key and the mask are fixed: in memory, there is no proxy to protect.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0x11, 0x52, 0xa3, 0xf4];

/// The maximum size of a message from the server, in bytes.
const MAX_MESSAGE: usize = 256 * 1024 * 1024;

pub(super) async fn open(
    app: &TestApp,
    handshake: &HandshakeRequest,
) -> Result<ClientConnection, ConnectError> {
    let mut request = handshake.request(Method::GET, Transport::WebSocket, None, Bytes::new());
    for (name, value) in [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, KEY),
    ] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let mut http = Http::open(app).await.map_err(ConnectError::lost)?;
    let response = http.begin(request).await.map_err(ConnectError::lost)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let answer = http1::read(response).await.map_err(ConnectError::lost)?;
        return Err(ConnectError::answer(&answer));
    }
    let upgraded = hyper::upgrade::on(response).await;
    let io = TokioIo::new(upgraded.map_err(ConnectError::lost)?);
    let (shared, to_send) = SharedState::new(app.codec.clone());
    Ok(ClientConnection::run(
        Arc::clone(&shared),
        run(io, shared, to_send),
    ))
}

type Io = TokioIo<Upgraded>;

/// Reads and writes until either ends.
async fn run(
    io: Io,
    shared: Arc<SharedState>,
    to_send: mpsc::UnboundedReceiver<ToSend>,
) -> Disconnected {
    let (from_server, to_server) = split(io);
    let read = pin!(read(from_server, &shared));
    let write = pin!(write(to_server, to_send));
    select(read, write).await.factor_first().0
}

async fn read(mut from_server: ReadHalf<Io>, shared: &SharedState) -> Disconnected {
    let mut decoder = FrameDecoder::new(DecoderConfig {
        max_message: MAX_MESSAGE,
        require_mask: false,
    });
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = match from_server.read(&mut buffer).await {
            Ok(0) | Err(_) => return Disconnected::TransportClose,
            Ok(length) => length,
        };
        shared.reads().await;
        let mut input = always(buffer.get(..length), "the bytes were read into the buffer");
        loop {
            let ended = match decoder.next_event(&mut input) {
                Ok(Some(event)) => handle_event(event, shared),
                Ok(None) => break,
                Err(_) => Some(Disconnected::ParseError),
            };
            if let Some(reason) = ended {
                return reason;
            }
        }
    }
}

fn handle_event(event: WebSocketEvent, shared: &SharedState) -> Option<Disconnected> {
    match event {
        WebSocketEvent::Text(text) => match Packet::decode_text(text) {
            Ok(packet) => shared.receive(packet),
            Err(_) => Some(Disconnected::ParseError),
        },
        WebSocketEvent::Binary(data) => shared.receive(Packet::decode_binary(data)),
        WebSocketEvent::Pong(data) => {
            if let Ok(number) = data.as_ref().try_into() {
                shared.has_taken(u64::from_be_bytes(number));
            }
            None
        }
        WebSocketEvent::Ping(_) => None,
        WebSocketEvent::Close(_) => Some(Disconnected::TransportClose),
    }
}

fn masked(packet: &Packet) -> Bytes {
    match packet {
        Packet::Message(Message::Binary(data)) => masked_frame(Opcode::Binary, data, MASK),
        text => masked_frame(Opcode::Text, text.encode_text().as_bytes(), MASK),
    }
}

/// Sends queued packets, each followed by a WebSocket ping with its number. The pong shows that the server has
/// processed the packet.
async fn write(
    mut to_server: WriteHalf<Io>,
    mut to_send: mpsc::UnboundedReceiver<ToSend>,
) -> Disconnected {
    while let Some(packet) = to_send.recv().await {
        let mut frames: Vec<_> = packet.packets.iter().map(masked).collect();
        frames.push(masked_frame(
            Opcode::Ping,
            &packet.number.to_be_bytes(),
            MASK,
        ));
        if to_server.write_all(&frames.concat()).await.is_err() {
            break;
        }
    }
    Disconnected::TransportClose
}
