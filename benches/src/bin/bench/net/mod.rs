//! The generator's side of the wire: many sockets, one thread, one epoll, as little work for a message as possible.

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

/// All sockets of the generator. A socket is named by its number, in the order they were opened.
pub struct Net {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    conns: Vec<Option<Conn>>,
    deadline: Instant,
}

impl Net {
    /// Large enough that a message of 64 KiB takes one read.
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

    /// What is not done by then is not waited for.
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

    /// Waits for the sockets, and tells `each` what came: number, socket, what was in it.
    ///
    /// Waits for no more than `wait`, or until the limit: to reach that is an error.
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
            // Closed since the kernel told of it.
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
