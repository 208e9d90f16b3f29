//! The queue of a client's requests that cannot be handled yet.

use std::collections::VecDeque;

use bytestring::ByteString;

use crate::buf::shrink_if_empty;
use crate::socket_io::Event;

/// The requests that have been received and wait, in order.
///
/// They are queued by namespace, since each packet that arrives causes a search for a request that may go: it looks at
/// the first request of each namespace only, however many follow.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// The queues, in the order of their first requests. None is empty.
    queues: VecDeque<Queue>,
    /// The buffer of the last queue, from which the next one is made without an allocation.
    spare: VecDeque<Waiting>,
    /// The number of requests that have ever waited.
    received: u64,
    len: usize,
    bytes: usize,
}

/// The requests that wait for one namespace.
#[derive(Debug)]
struct Queue {
    nsp: ByteString,
    waiting: VecDeque<Waiting>,
    connects: usize,
    /// The number of requests that are not events.
    others: usize,
}

#[derive(Debug)]
struct Waiting {
    /// The position in the order of arrival, over all namespaces.
    number: u64,
    request: ClientRequest,
}

/// A request of a client to a namespace.
#[derive(Debug)]
pub(super) enum ClientRequest {
    Connect(Option<ByteString>),
    Event(Option<u64>, Event),
    Disconnect,
}

impl Backlog {
    /// Returns the number of requests that wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the size of their arguments, in bytes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of namespaces that they are for.
    #[inline]
    pub(super) fn namespaces(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn push(&mut self, nsp: ByteString, request: ClientRequest) {
        self.len += 1;
        self.bytes += request.size();
        let number = self.received;
        self.received += 1;
        let (connects, others) = request.counts();
        let waiting = Waiting { number, request };
        if let Some(queue) = self.queues.iter_mut().find(|queue| queue.nsp == nsp) {
            queue.connects += connects;
            queue.others += others;
            queue.waiting.push_back(waiting);
            return;
        }
        let mut queue = Queue {
            nsp,
            waiting: std::mem::take(&mut self.spare),
            connects,
            others,
        };
        queue.waiting.push_back(waiting);
        self.queues.push_back(queue);
    }

    /// Drops the last CONNECT for a namespace, and the events behind it, if no DISCONNECT follows it: none of them has
    /// started, and another CONNECT replaces it.
    pub(super) fn supersede_connect(&mut self, nsp: &ByteString) {
        let at = self.queues.iter().position(|queue| queue.nsp == *nsp);
        let at = at.filter(|_| self.rejoins(nsp));
        let Some(mut queue) = at.and_then(|at| self.queues.remove(at)) else {
            return;
        };
        let last = queue.waiting.iter().rposition(|last| !last.is_event());
        let connect = last.filter(|&last| {
            let last = queue.waiting.get(last);
            last.is_some_and(|last| matches!(last.request, ClientRequest::Connect(_)))
        });
        if let Some(connect) = connect {
            for Waiting { request, .. } in queue.waiting.split_off(connect) {
                queue.count_off(&request);
                self.count_off(&request);
            }
        }
        self.put_back(queue);
    }

    /// Takes the first request that may go and does not overtake another for its namespace.
    pub(super) fn take(
        &mut self,
        may_start: impl Fn(&ByteString, &ClientRequest) -> bool,
    ) -> Option<(ByteString, ClientRequest)> {
        let at = self.queues.iter().position(|queue| {
            let first = queue.waiting.front();
            first.is_some_and(|first| may_start(&queue.nsp, &first.request))
        })?;
        let mut queue = self.queues.remove(at)?;
        let nsp = queue.nsp.clone();
        let request = queue.waiting.pop_front()?.request;
        self.count_off(&request);
        queue.count_off(&request);
        self.put_back(queue);
        Some((nsp, request))
    }

    #[inline]
    pub(super) fn has(&self, nsp: &ByteString) -> bool {
        self.queue(nsp).is_some()
    }

    /// Returns true if events wait for the current socket.
    #[inline]
    pub(super) fn has_events(&self, nsp: &ByteString) -> bool {
        let first = self.queue(nsp).and_then(|queue| queue.waiting.front());
        first.is_some_and(Waiting::is_event)
    }

    /// Returns true if a CONNECT of the client waits.
    pub(super) fn rejoins(&self, nsp: &ByteString) -> bool {
        self.queue(nsp).is_some_and(|queue| queue.connects > 0)
    }

    /// Returns true if a CONNECT or DISCONNECT of the client waits.
    pub(super) fn moves(&self, nsp: &ByteString) -> bool {
        self.queue(nsp).is_some_and(|queue| queue.others > 0)
    }

    /// Drops the events for the current socket.
    pub(super) fn drop_events(&mut self, nsp: &ByteString) {
        let at = self.queues.iter().position(|queue| queue.nsp == *nsp);
        let Some(mut queue) = at.and_then(|at| self.queues.remove(at)) else {
            return;
        };
        let events = queue.events();
        for Waiting { request, .. } in queue.waiting.drain(..events) {
            self.count_off(&request);
        }
        self.put_back(queue);
    }

    /// Drops all requests except the events for the current sockets: no socket joins any more.
    pub(super) fn close(&mut self) {
        for mut queue in std::mem::take(&mut self.queues) {
            let events = queue.events();
            for Waiting { request, .. } in queue.waiting.drain(events..) {
                self.count_off(&request);
            }
            (queue.connects, queue.others) = (0, 0);
            self.put_back(queue);
        }
    }

    #[inline]
    fn queue(&self, nsp: &ByteString) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.nsp == *nsp)
    }

    fn count_off(&mut self, request: &ClientRequest) {
        self.len -= 1;
        self.bytes -= request.size();
    }

    /// Puts back a queue that was taken out, in its order, unless it is empty.
    fn put_back(&mut self, mut queue: Queue) {
        if queue.waiting.is_empty() {
            shrink_if_empty(&mut queue.waiting);
            shrink_if_empty(&mut self.queues);
            self.spare = queue.waiting;
            return;
        }
        let at = self
            .queues
            .partition_point(|other| other.number() < queue.number());
        self.queues.insert(at, queue);
    }
}

impl Queue {
    /// Returns the number of events for the current socket: those before any other request.
    fn events(&self) -> usize {
        let waiting = self.waiting.iter();
        waiting.take_while(|waiting| waiting.is_event()).count()
    }

    fn count_off(&mut self, request: &ClientRequest) {
        let (connects, others) = request.counts();
        self.connects -= connects;
        self.others -= others;
    }

    fn number(&self) -> Option<u64> {
        self.waiting.front().map(|first| first.number)
    }
}

impl Waiting {
    fn is_event(&self) -> bool {
        matches!(self.request, ClientRequest::Event(..))
    }
}

impl ClientRequest {
    fn size(&self) -> usize {
        match self {
            Self::Connect(auth) => auth.as_ref().map_or(0, |auth| auth.len()),
            Self::Event(_, event) => event.args().footprint(),
            Self::Disconnect => 0,
        }
    }

    /// Returns the number of CONNECTs and the number of requests that are not events, each 0 or 1.
    const fn counts(&self) -> (usize, usize) {
        match self {
            Self::Connect(_) => (1, 1),
            Self::Event(..) => (0, 0),
            Self::Disconnect => (0, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_packets_of_all_namespaces_leave_in_order_of_arrival() {
        let mut backlog = Backlog::default();
        for nsp in ["/a", "/b", "/a", "/c", "/b", "/a"] {
            backlog.push(nsp.into(), ClientRequest::Disconnect);
        }
        let mut taken = String::new();
        let mut take = |backlog: &mut Backlog, stuck: &str| {
            let (nsp, _) = backlog.take(|nsp, _| **nsp != *stuck)?;
            taken.push_str(&nsp);
            Some(())
        };
        take(&mut backlog, "/a").unwrap();
        while take(&mut backlog, "").is_some() {}
        assert_eq!(taken, "/b/a/a/c/b/a");
        assert_eq!((backlog.len(), backlog.bytes()), (0, 0));
    }

    #[test]
    fn however_much_waits_only_the_first_of_each_namespace_is_looked_at() {
        let mut backlog = Backlog::default();
        for nsp in ["/a", "/b"].repeat(1000) {
            backlog.push(nsp.into(), ClientRequest::Disconnect);
        }
        assert_eq!(backlog.queues.len(), 2);
        assert!(backlog.take(|_, _| false).is_none());
        assert_eq!(backlog.len(), 2000);
    }
}
