//! An echo server: the codec in a minimal loop.

use proto::websocket::{
    DecoderConfig, FrameDecoder, Opcode, WebSocketEvent, accept_key, close_frame, frame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The size of the suite's largest message.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Serves one connection, reading at most `chop` bytes at a time.
pub(super) async fn serve(mut tcp: TcpStream, chop: usize) -> std::io::Result<()> {
    shake_hands(&mut tcp).await?;
    let config = DecoderConfig {
        max_message: MAX_MESSAGE,
        ..DecoderConfig::default()
    };
    let mut decoder = FrameDecoder::new(config);
    let mut buffer = vec![0; chop];
    loop {
        let read = tcp.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let mut input = buffer.get(..read).unwrap_or_default();
        loop {
            let (reply, is_last) = match decoder.next_event(&mut input) {
                Ok(None) => break,
                Ok(Some(WebSocketEvent::Pong(_))) => continue,
                Ok(Some(WebSocketEvent::Text(text))) => {
                    (frame(Opcode::Text, text.as_bytes()), false)
                }
                Ok(Some(WebSocketEvent::Binary(data))) => (frame(Opcode::Binary, &data), false),
                Ok(Some(WebSocketEvent::Ping(data))) => (frame(Opcode::Pong, &data), false),
                Ok(Some(WebSocketEvent::Close(close))) => {
                    (close_frame(close.map(|close| close.code), ""), true)
                }
                Err(error) => (close_frame(Some(error.close_code()), ""), true),
            };
            tcp.write_all(&reply).await?;
            if is_last {
                return end(tcp).await;
            }
        }
    }
}

/// Shuts down the write half, and reads until the client has ended its own. A socket that is dropped with unread bytes
/// would be reset, and the reset could overtake the close frame.
async fn end(mut tcp: TcpStream) -> std::io::Result<()> {
    tcp.shutdown().await?;
    let mut rest = [0; 4096];
    while tcp.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn shake_hands(tcp: &mut TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(tcp.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request);
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = accept_key(key.unwrap_or_default().as_bytes());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    tcp.write_all(response.as_bytes()).await
}
