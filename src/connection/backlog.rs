//! What a client has asked for that cannot be done yet, in order.

use std::collections::VecDeque;

use bytestring::ByteString;

use crate::engine::give_back;
use crate::protocol::socket_io::Event;

/// What has been received and waits, in order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<(ByteString, Request)>,
    bytes: usize,
}

/// What a client wants of a namespace.
#[derive(Debug)]
pub(super) enum Request {
    Connect(Option<ByteString>),
    Event(Option<u64>, Event),
    Disconnect,
}

impl Backlog {
    /// How many requests wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The size of their arguments, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, nsp: ByteString, request: Request) {
        self.bytes += request.size();
        self.waiting.push_back((nsp, request));
    }

    /// Takes the first request that may go and does not overtake another for its namespace.
    pub(super) fn take(
        &mut self,
        may_go: impl Fn(&ByteString, &Request) -> bool,
    ) -> Option<(ByteString, Request)> {
        let mut stuck: Vec<&ByteString> = Vec::new();
        let at = self.waiting.iter().position(|(nsp, request)| {
            let goes = !stuck.contains(&nsp) && may_go(nsp, request);
            if !goes && !stuck.contains(&nsp) {
                stuck.push(nsp);
            }
            goes
        })?;
        let (nsp, request) = self.waiting.remove(at)?;
        self.bytes -= request.size();
        give_back(&mut self.waiting);
        Some((nsp, request))
    }

    fn of<'a>(&'a self, nsp: &'a ByteString) -> impl Iterator<Item = &'a Request> {
        let waiting = self.waiting.iter();
        waiting.filter_map(move |(of, request)| (of == nsp).then_some(request))
    }

    pub(super) fn has(&self, nsp: &ByteString) -> bool {
        self.of(nsp).next().is_some()
    }

    /// Whether events wait for the socket that is there now.
    pub(super) fn has_events(&self, nsp: &ByteString) -> bool {
        matches!(self.of(nsp).next(), Some(Request::Event(..)))
    }

    /// Whether the client waits to join again, and that is the last it said of it.
    pub(super) fn rejoins(&self, nsp: &ByteString) -> bool {
        self.of(nsp)
            .any(|request| matches!(request, Request::Connect(_)))
    }

    /// Drops the events for the socket that is there now.
    pub(super) fn drop_events(&mut self, nsp: &ByteString) {
        let mut over = false;
        self.retain(|of, request| {
            over |= of == nsp && !matches!(request, Request::Event(..));
            of != nsp || over
        });
    }

    /// Nobody will join any more.
    pub(super) fn close(&mut self) {
        let mut over: Vec<ByteString> = Vec::new();
        self.retain(|nsp, request| {
            if !matches!(request, Request::Event(..)) {
                over.push(nsp.clone());
            }
            !over.contains(nsp)
        });
    }

    fn retain(&mut self, mut keep: impl FnMut(&ByteString, &Request) -> bool) {
        self.waiting.retain(|(nsp, request)| keep(nsp, request));
        give_back(&mut self.waiting);
        self.bytes = self.waiting.iter().map(|(_, request)| request.size()).sum();
    }
}

impl Request {
    fn size(&self) -> usize {
        match self {
            Self::Connect(auth) => auth.as_ref().map_or(0, |auth| auth.len()),
            Self::Event(_, event) => event.args().size(),
            Self::Disconnect => 0,
        }
    }
}
