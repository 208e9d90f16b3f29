//! A relay between a server and its engine, which counts the messages that reach the server.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The text before the number of a room in an event that is counted; a `;` follows the number.
pub const MARK: &str = "counted-room:";

/// The counts of one server.
#[derive(Debug, Default)]
pub struct Counts {
    /// The messages that the engine sent to the server, by the number of their room.
    pub received: BTreeMap<u32, u64>,
    /// The writes of the server to the engine.
    pub writes: u64,
}

#[derive(Clone, Default)]
pub struct Relay {
    counts: Arc<Mutex<Counts>>,
}

impl Relay {
    /// Listens on a free port, and connects whoever comes to the engine at this port.
    pub async fn start(&self, engine: u16) -> io::Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let relay = self.clone();
        tokio::spawn(async move {
            while let Ok((server, _)) = listener.accept().await {
                tokio::spawn(relay.clone().connect(server, engine));
            }
        });
        Ok(port)
    }

    /// Returns the counts since the last call.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn connect(self, server: TcpStream, engine: u16) -> io::Result<()> {
        let engine = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], engine))).await?;
        server.set_nodelay(true)?;
        engine.set_nodelay(true)?;
        let (mut from_server, mut to_server) = server.into_split();
        let (mut from_engine, mut to_engine) = engine.into_split();
        let counts = self.counts.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                counts.lock().unwrap_or_else(PoisonError::into_inner).writes += 1;
                let Some(bytes) = buffer.get(..read) else {
                    break;
                };
                if to_engine.write_all(bytes).await.is_err() {
                    break;
                }
            }
        });
        let mut marks = Marks::default();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_engine.read(&mut buffer).await?;
            let Some(bytes @ [_, ..]) = buffer.get(..read) else {
                return Ok(());
            };
            {
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                marks.read(bytes, |room| *counts.received.entry(room).or_default() += 1);
            }
            to_server.write_all(bytes).await?;
        }
    }
}

/// A search for marks in bytes that arrive in parts.
#[derive(Default)]
struct Marks {
    /// The number of bytes of the mark that have been read.
    matched: usize,
    number: Option<u32>,
}

impl Marks {
    fn read(&mut self, bytes: &[u8], mut found: impl FnMut(u32)) {
        for &byte in bytes {
            if let Some(number) = self.number {
                match byte {
                    b'0'..=b'9' => {
                        self.number = Some(number.saturating_mul(10) + u32::from(byte - b'0'));
                        continue;
                    }
                    b';' => found(number),
                    _ => {}
                }
                self.number = None;
            }
            let mark = MARK.as_bytes();
            if mark.get(self.matched) == Some(&byte) {
                self.matched += 1;
            } else {
                self.matched = usize::from(mark.first() == Some(&byte));
            }
            if self.matched == mark.len() {
                (self.matched, self.number) = (0, Some(0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_parts_of_any_size() {
        let text = format!("x{MARK}17;c{MARK}3;{MARK}{MARK}20;{MARK}5 ");
        for size in 1..=text.len() {
            let (mut marks, mut found) = (Marks::default(), Vec::new());
            for part in text.as_bytes().chunks(size) {
                marks.read(part, |room| found.push(room));
            }
            assert_eq!(found, [17, 3, 20], "in parts of {size}");
        }
    }
}
