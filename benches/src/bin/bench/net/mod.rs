//! The network of the generator: many sockets, one thread, one epoll, and as little work for each message as possible.

mod conn;
mod frames;
mod http;
mod reader;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

pub use conn::Conn;
pub use frames::{Request, control_frame, event, event_with_ack, part_frame, text_frame};
pub use http::{get, post, upgrade};
pub use reader::Seen;

/// All sockets of the generator. A socket is identified by its number, in the order of opening.
pub struct Net {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    conns: Vec<Option<Conn>>,
    deadline: Instant,
}

impl Net {
    /// The size of the read buffer, which is large enough to read a message of 64 KiB at once.
    const SCRATCH: usize = 256 * 1024;

    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            scratch: vec![0; Self::SCRATCH],
            conns: Vec::new(),
            deadline: Instant::now(),
        })
    }

    /// Sets the time after which waiting fails.
    pub fn set_limit(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
    }

    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Opens a socket.
    pub fn open(
        &mut self,
        server: SocketAddr,
        conn: fn(mio::net::TcpStream) -> Conn,
    ) -> io::Result<usize> {
        let mut stream = mio::net::TcpStream::connect(server)?;
        let number = self.conns.len();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(number), interest)?;
        self.conns.push(Some(conn(stream)));
        Ok(number)
    }

    pub fn conn(&mut self, number: usize) -> io::Result<&mut Conn> {
        self.conns
            .get_mut(number)
            .and_then(Option::as_mut)
            .ok_or_else(|| io::Error::other("a socket is used that has been closed"))
    }

    pub fn send(&mut self, number: usize, bytes: &[u8]) -> io::Result<()> {
        self.conn(number)?.send(bytes)
    }

    pub fn close(&mut self, number: usize) {
        if let Some(slot) = self.conns.get_mut(number) {
            *slot = None;
        }
    }

    pub fn close_all(&mut self) {
        self.conns.clear();
    }

    /// Waits for the sockets, and calls `each` for all input with the number, the socket, and a summary of the input.
    ///
    /// It waits for no longer than `wait`, and fails at the limit.
    pub fn turn(
        &mut self,
        wait: Option<Duration>,
        mut each: impl FnMut(usize, &mut Conn, Seen) -> io::Result<()>,
    ) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let wait = wait.map_or(left, |wait| wait.min(left));
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        if self.events.is_empty() && left.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the server did not answer in time",
            ));
        }
        for event in &self.events {
            let Token(number) = event.token();
            // The socket has been closed since the kernel reported the event.
            let Some(Some(conn)) = self.conns.get_mut(number) else {
                continue;
            };
            if event.is_writable() {
                conn.flush()?;
            }
            if event.is_readable() {
                let seen = conn.receive(&mut self.scratch)?;
                if seen != Seen::default() {
                    each(number, conn, seen)?;
                }
            }
        }
        Ok(())
    }
}
