//! The upgrade to WebSocket, without the connection of an HTTP library.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use axum_socketio_benches::contract::PING_INTERVAL;
use axum_socketio_proto::Sid;
use axum_socketio_proto::engine_io::{OpenPacket, Transport};
use axum_socketio_proto::websocket::{Opcode, accept_key, frame};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Reads the request, answers it, and opens the session.
pub async fn accept(stream: &mut TcpStream) -> io::Result<()> {
    // The buffer is on the heap and freed at the end: a buffer on the stack would stay in the task.
    let mut request = Vec::with_capacity(2048);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The client sends nothing after the request before the response.
        if let Some(key) = parse(&request)? {
            return stream.write_all(&answer(&key)).await;
        }
    }
}

fn answer(key: &str) -> Vec<u8> {
    let mut answer = Vec::with_capacity(512);
    for part in [
        "HTTP/1.1 101 Switching Protocols\r\n",
        "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ",
        key,
        "\r\n\r\n",
    ] {
        answer.extend_from_slice(part.as_bytes());
    }
    answer.extend_from_slice(&open());
    answer
}

/// Returns the key of the response, if the request is complete.
fn parse(bytes: &[u8]) -> io::Result<Option<String>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    if request.parse(bytes).map_err(io::Error::other)?.is_partial() {
        return Ok(None);
    }
    let is_key =
        |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("sec-websocket-key");
    let key = request.headers.iter().find(is_key);
    let key = key.ok_or_else(|| io::Error::other("not a WebSocket"))?;
    Ok(Some(accept_key(key.value)))
}

/// Returns the first frame.
pub fn open() -> Bytes {
    frame(Opcode::Text, open_packet(sid(), None).as_bytes())
}

pub fn open_packet(sid: Sid, upgrade: Option<Transport>) -> String {
    let packet = OpenPacket {
        sid,
        upgrade,
        ping_interval: PING_INTERVAL,
        ping_timeout: PING_INTERVAL,
        max_payload: 1_000_000,
    };
    packet.encode()
}

/// Returns an id that is unique, but not secret.
pub fn sid() -> Sid {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 15];
    if let Some(number) = bytes.first_chunk_mut() {
        *number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    }
    Sid::from_random(bytes)
}
