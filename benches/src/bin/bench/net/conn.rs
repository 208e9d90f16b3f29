//! A connection of the generator.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::frames;
use super::http::HttpReader;
use super::reader::{FrameReader, Seen};

pub struct Conn {
    stream: TcpStream,
    /// The bytes that the kernel has not accepted yet.
    unsent: Vec<u8>,
    input: Input,
}

enum Input {
    Frames(FrameReader),
    Http(HttpReader),
}

impl Conn {
    /// Creates a WebSocket, whose input begins with the response to the HTTP request.
    pub fn websocket(stream: TcpStream) -> Self {
        Self::new(stream, Input::Frames(FrameReader::upgrading()))
    }

    /// Creates a connection whose input consists of frames from the first byte on.
    pub fn frames(stream: TcpStream) -> Self {
        Self::new(stream, Input::Frames(FrameReader::upgraded()))
    }

    pub fn http(stream: TcpStream) -> Self {
        Self::new(stream, Input::Http(HttpReader::default()))
    }

    fn new(stream: TcpStream, input: Input) -> Self {
        // A stream that does not accept the option fails when it is used.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            unsent: Vec::new(),
            input,
        }
    }

    /// Writes the bytes that the kernel accepts at once, and the rest later.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = if self.unsent.is_empty() {
            write(&mut self.stream, bytes)?
        } else {
            0
        };
        self.unsent
            .extend_from_slice(bytes.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Returns true if the kernel has not accepted all bytes yet.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let sent = write(&mut self.stream, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        Ok(())
    }

    /// Reads all available bytes, and answers pings.
    pub fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Seen> {
        let mut seen = Seen::default();
        loop {
            let got = match self.stream.read(scratch) {
                Ok(0) => return Err(closed("the server closed a connection")),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = scratch.get(..got).unwrap_or_default();
            match &mut self.input {
                Input::Frames(reader) => reader.feed(bytes, &mut seen)?,
                Input::Http(reader) => reader.feed(bytes, &mut seen)?,
            }
            // A short read means that there is no more, and the next byte causes a new event.
            if got < scratch.len() {
                break;
            }
        }
        for _ in 0..seen.pings {
            self.send(frames::pong())?;
        }
        Ok(seen)
    }

    /// Returns the body of the last response.
    pub fn body(&self) -> &[u8] {
        match &self.input {
            Input::Http(reader) => reader.body(),
            Input::Frames(_) => &[],
        }
    }
}

fn write(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(closed("a connection takes no more")),
            Ok(n) => {
                sent += n;
                bytes = bytes.get(n..).unwrap_or_default();
            }
            // The socket is not connected yet, or its buffer is full: a writable event will follow.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::NotConnected
                ) =>
            {
                break;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn closed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, what)
}
