//! A server and its clients in one process, connected by pipes in memory, without the operating system in between.
//!
//! All functions must be called inside of a runtime. If it has one thread, the server works only while a client waits.

use std::io;

use axum_socketio::{Sid, SocketIo};
use axum_socketio_proto::websocket::{Opcode, frame, masked_frame};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// The capacity of a pipe in bytes, which exceeds the unread bytes of any client, so that no writer waits.
const CAPACITY: usize = 1024 * 1024;

/// Returns a request for a WebSocket, with additional query parameters: `&sid=…` for an open session.
#[must_use]
pub fn upgrade_request(query: &str) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Creates a pipe. Returns the client's end and the other one.
#[must_use]
pub fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(CAPACITY)
}

/// Opens an HTTP/1.1 connection to a server.
#[must_use]
pub fn open(io: &SocketIo) -> DuplexStream {
    let (ours, theirs) = pipe();
    let service = TowerToHyperService::new(io.service());
    tokio::spawn(async move {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(theirs), service);
        // A client that disconnects ends it with an error.
        let _ = connection.with_upgrades().await;
    });
    ours
}

/// Opens a WebSocket to a server and joins `/`. Returns it with the id of the socket.
///
/// # Errors
///
/// Returns an error if the server sends an unexpected answer.
pub async fn connect(io: &SocketIo) -> io::Result<(DuplexStream, Sid)> {
    let mut pipe = open(io);
    pipe.write_all(upgrade_request("").as_bytes()).await?;
    read_until(&mut pipe, b"}").await?;
    pipe.write_all(&text("40")).await?;
    let joined = read_until(&mut pipe, b"\"}").await?;
    let sid = joined
        .strip_suffix(b"\"}")
        .and_then(|rest| rest.last_chunk::<20>())
        .and_then(|sid| str::from_utf8(sid).ok()?.parse().ok())
        .ok_or_else(|| io::Error::other("not joined"))?;
    Ok((pipe, sid))
}

/// Encodes a client's text message.
#[must_use]
pub fn text(packet: &str) -> Vec<u8> {
    masked_frame(Opcode::Text, packet.as_bytes(), [1, 2, 3, 4]).to_vec()
}

/// Encodes a client's binary message.
#[must_use]
pub fn binary(data: &[u8]) -> Vec<u8> {
    masked_frame(Opcode::Binary, data, [1, 2, 3, 4]).to_vec()
}

/// Encodes a client's close frame, without a reason.
#[must_use]
pub fn close() -> Vec<u8> {
    masked_frame(Opcode::Close, b"", [1, 2, 3, 4]).to_vec()
}

/// Encodes a server's text message.
#[must_use]
pub fn answer(packet: &str) -> Vec<u8> {
    frame(Opcode::Text, packet.as_bytes()).to_vec()
}

/// Reads until the input ends with these bytes, and returns it.
///
/// # Errors
///
/// Returns an error if the connection is closed before.
pub async fn read_until(pipe: &mut DuplexStream, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        if pipe.read_buf(&mut read).await? == 0 {
            let read = String::from_utf8_lossy(&read);
            return Err(io::Error::other(format!("closed after {read:?}")));
        }
    }
    Ok(read)
}

/// Reads this number of bytes and discards them.
///
/// # Errors
///
/// Returns an error if the connection is closed before.
pub async fn skip(pipe: &mut DuplexStream, mut bytes: usize) -> io::Result<()> {
    let mut scratch = [0; 4096];
    while bytes > 0 {
        let wanted = scratch.len().min(bytes);
        let part = scratch.get_mut(..wanted).unwrap_or_default();
        bytes -= pipe.read_exact(part).await?;
    }
    Ok(())
}
