//! The upgrade to WebSocket without an HTTP library's connection.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use axum_socketio::protocol::Sid;
use axum_socketio::protocol::engine_io::Handshake;
use axum_socketio::protocol::websocket::{Opcode, accept_key, frame};
use axum_socketio_benches::contract::PING_INTERVAL;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Reads the request, answers it, and opens the session.
pub async fn accept(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = Vec::with_capacity(512);
    while answer.is_empty() {
        let mut request = [0; 2048];
        let got = stream.peek(&mut request).await?;
        let Some(request) = request.get(..got).filter(|request| !request.is_empty()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if let Some((len, key)) = parse(request)? {
            answer.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ");
            answer.extend_from_slice(key.as_bytes());
            answer.extend_from_slice(b"\r\n\r\n");
            answer.extend_from_slice(&open());
            stream.read_exact(&mut [0; 2048][..len]).await?;
        }
    }
    stream.write_all(&answer).await
}

/// The length of the request and the key that answers it, when the request is whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(usize, String)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = request.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let is_key =
        |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("sec-websocket-key");
    let key = request
        .headers
        .iter()
        .find(is_key)
        .ok_or_else(|| io::Error::other("not a WebSocket"))?;
    Ok(Some((len, accept_key(key.value))))
}

/// The first frame.
pub fn open() -> Bytes {
    frame(Opcode::Text, open_packet(&[]).as_bytes())
}

pub fn open_packet(upgrades: &[&str]) -> String {
    let handshake = Handshake {
        sid: sid(),
        upgrades,
        ping_interval: PING_INTERVAL,
        ping_timeout: PING_INTERVAL,
        max_payload: 1_000_000,
    };
    handshake.encode()
}

/// An id that is new, but not secret.
pub fn sid() -> Sid {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 15];
    if let Some(number) = bytes.first_chunk_mut() {
        *number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    }
    Sid::from_random(bytes)
}
