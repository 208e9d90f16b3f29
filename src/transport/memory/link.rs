//! The two queues between a client and its connection.

use std::collections::VecDeque;
use std::sync::MutexGuard;
use std::task::{Context, Poll, Waker};

use proto::websocket::CloseFrame;

use super::MemoryPacket;
use crate::sync::Lock;

/// The size at which a queue takes nothing more until some of it has been read, in bytes.
const CAPACITY: usize = 64 * 1024;

/// The memory that a packet needs in a queue beside its text or data, in bytes.
const OVERHEAD: usize = 64;

/// The queues between one client and the server, and the wakers of those who wait for them.
#[derive(Debug, Default)]
pub(crate) struct MemoryLink {
    state: Lock<State>,
}

#[derive(Debug, Default)]
struct State {
    to_client: Queue,
    to_server: Queue,
    /// The waker of the connection's task, while it waits for packets or for room.
    server: Option<Waker>,
    client_reads: Option<Waker>,
    client_sends: Option<Waker>,
    /// The end of the server's side.
    server_end: Option<ServerEnd>,
    client_end: Option<ClientEnd>,
    /// True if the connection's task waits until the client has read some of its packets.
    wants_room: bool,
    /// True if a server has taken the link.
    taken: bool,
}

/// The end of the server's side of a link, with the code and the reason that it gives.
#[derive(Debug)]
struct ServerEnd(Option<Box<CloseFrame>>);

/// The end of the client's side of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientEnd {
    /// The client has said that it closes.
    Closed,
    /// The client has gone without a word.
    Lost,
}

/// The reason for which a packet was not sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// There is no room until the other side has read some packets.
    Full(MemoryPacket),
    /// The other side is gone.
    Closed,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<MemoryPacket>,
    /// The memory that the packets need, in bytes.
    bytes: usize,
}

impl Queue {
    const fn has_room(&self) -> bool {
        self.bytes < CAPACITY
    }

    fn push(&mut self, packet: MemoryPacket) {
        self.bytes += packet.size() + OVERHEAD;
        self.packets.push_back(packet);
    }

    fn pop(&mut self) -> Option<MemoryPacket> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.size() + OVERHEAD;
        if self.packets.is_empty() {
            // An idle link retains no capacity: there may be very many of them.
            self.packets = VecDeque::new();
        }
        Some(packet)
    }
}

/// Stores the waker unless it would wake the same task.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        slot => *slot = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The server's side.
impl MemoryLink {
    /// Returns true for the first caller.
    pub(super) fn take(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().taken, true)
    }

    /// Returns true if the client has not gone and there is room for a packet to it.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.client_end.is_none() && state.to_client.has_room()
    }

    /// Ready if there is room for a packet to the client, or with an error if the client has gone. Otherwise the task
    /// is woken when there is room.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<(), ClientEnd>> {
        let mut state = self.state.lock();
        if let Some(end) = state.client_end {
            return Poll::Ready(Err(end));
        }
        if state.to_client.has_room() {
            return Poll::Ready(Ok(()));
        }
        state.wants_room = true;
        register(&mut state.server, cx);
        Poll::Pending
    }

    /// Queues packets for the client, even beyond the capacity. They are dropped if the client is gone.
    pub(super) fn push(&self, packets: impl IntoIterator<Item = MemoryPacket>) {
        let mut packets = packets.into_iter();
        let mut state = self.state.lock();
        if state.client_end.is_none() && state.server_end.is_none() {
            packets
                .by_ref()
                .for_each(|packet| state.to_client.push(packet));
        }
        let woken = state.client_reads.take();
        drop(state);
        wake(woken);
        // Packets contain bytes of users, which are not dropped under the lock.
        packets.for_each(drop);
    }

    /// Returns the next packet of the client, or the end of its side behind the last one.
    pub(super) fn poll_packet(&self, cx: &Context<'_>) -> Poll<Result<MemoryPacket, ClientEnd>> {
        let mut state = self.state.lock();
        if let Some(packet) = state.to_server.pop() {
            let woken = state.client_sends.take();
            drop(state);
            wake(woken);
            return Poll::Ready(Ok(packet));
        }
        if let Some(end) = state.client_end {
            return Poll::Ready(Err(end));
        }
        register(&mut state.server, cx);
        Poll::Pending
    }

    /// Ends the server's side, if it has not ended. The client can still read the packets that are queued for it.
    pub(super) fn end_server(&self, farewell: Option<CloseFrame>) {
        let mut state = self.state.lock();
        if state.server_end.is_some() {
            return;
        }
        state.server_end = Some(ServerEnd(farewell.map(Box::new)));
        let unread = std::mem::take(&mut state.to_server);
        let waiting = state.server.take();
        let woken = [state.client_reads.take(), state.client_sends.take()];
        drop(state);
        woken.into_iter().for_each(wake);
        drop((unread, waiting));
    }
}

/// The client's side.
impl MemoryLink {
    /// Returns true if a server has taken the link.
    pub(crate) fn is_taken(&self) -> bool {
        self.state.lock().taken
    }

    /// Returns the next packet of the server; `None` if its side has ended and all packets have been read.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<MemoryPacket>> {
        let mut state = self.state.lock();
        if state.to_client.packets.is_empty() && state.server_end.is_none() {
            register(&mut state.client_reads, cx);
            return Poll::Pending;
        }
        Poll::Ready(Self::pop(state))
    }

    /// Returns the next packet of the server, if there is one.
    pub(crate) fn try_next(&self) -> Option<MemoryPacket> {
        Self::pop(self.state.lock())
    }

    fn pop(mut state: MutexGuard<'_, State>) -> Option<MemoryPacket> {
        let packet = state.to_client.pop()?;
        let room = state.wants_room && state.to_client.has_room();
        let woken = room.then(|| {
            state.wants_room = false;
            state.server.take()
        });
        drop(state);
        wake(woken.flatten());
        Some(packet)
    }

    /// Queues a packet for the server.
    pub(crate) fn send(&self, packet: MemoryPacket) -> Result<(), NotSent> {
        let mut state = self.state.lock();
        if state.server_end.is_some() {
            return Err(NotSent::Closed);
        }
        if !state.to_server.has_room() {
            return Err(NotSent::Full(packet));
        }
        state.to_server.push(packet);
        let woken = state.server.take();
        drop(state);
        wake(woken);
        Ok(())
    }

    /// Ready when there is room for a packet to the server, or the server's side has ended.
    pub(crate) fn poll_send(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.server_end.is_some() || state.to_server.has_room() {
            return Poll::Ready(());
        }
        register(&mut state.client_sends, cx);
        Poll::Pending
    }

    /// Returns true if the server's side has ended. Packets may be left to read.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().server_end.is_some()
    }

    /// Returns the code and the reason with which the server's side has ended, if it gave any.
    pub(crate) fn farewell(&self) -> Option<CloseFrame> {
        let state = self.state.lock();
        let ServerEnd(farewell) = state.server_end.as_ref()?;
        farewell.as_deref().cloned()
    }

    /// Ends the client's side, if it has not ended. The server can still read the packets that are queued for it.
    pub(crate) fn end_client(&self, end: ClientEnd) {
        let mut state = self.state.lock();
        if state.client_end.is_some() {
            return;
        }
        state.client_end = Some(end);
        let unread = std::mem::take(&mut state.to_client);
        let waiting = [state.client_reads.take(), state.client_sends.take()];
        let woken = state.server.take();
        drop(state);
        wake(woken);
        drop((unread, waiting));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Creates a waker, and a function that returns how often it has been woken since the last call.
    fn waker() -> (Waker, impl Fn() -> usize) {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        (waker, move || wakes.0.swap(0, Ordering::Relaxed))
    }

    fn packet(size: usize) -> MemoryPacket {
        vec![0; size].into()
    }

    #[test]
    fn each_side_wakes_the_other_when_there_is_something_to_do() {
        let link = MemoryLink::default();
        let ((server, server_wakes), (client, client_wakes)) = (waker(), waker());
        let (server, client) = (Context::from_waker(&server), Context::from_waker(&client));
        assert!(link.poll_packet(&server).is_pending());
        assert!(link.poll_next(&client).is_pending());
        link.send(packet(1)).unwrap();
        link.send(packet(2)).unwrap();
        assert_eq!((server_wakes(), client_wakes()), (1, 0));
        link.push([packet(3)]);
        assert_eq!((server_wakes(), client_wakes()), (0, 1));
        assert_eq!(link.poll_packet(&server), Poll::Ready(Ok(packet(1))));
        assert_eq!(link.poll_packet(&server), Poll::Ready(Ok(packet(2))));
        assert!(link.poll_packet(&server).is_pending());
        assert_eq!(link.poll_next(&client), Poll::Ready(Some(packet(3))));
        assert_eq!((server_wakes(), client_wakes()), (0, 0));
    }

    #[test]
    fn a_full_queue_makes_its_sender_wait() {
        let link = MemoryLink::default();
        let ((server, server_wakes), (client, client_wakes)) = (waker(), waker());
        let (server, client) = (Context::from_waker(&server), Context::from_waker(&client));
        link.push([packet(CAPACITY), packet(1)]);
        assert!(!link.has_room());
        assert!(link.poll_room(&server).is_pending());
        assert!(link.try_next().is_some());
        assert_eq!(server_wakes(), 1);
        assert_eq!(link.poll_room(&server), Poll::Ready(Ok(())));

        link.send(packet(CAPACITY)).unwrap();
        let Err(NotSent::Full(refused)) = link.send(packet(7)) else {
            panic!("there is no room");
        };
        assert_eq!(refused, packet(7));
        assert!(link.poll_send(&client).is_pending());
        assert!(link.poll_packet(&server).is_ready());
        assert_eq!(client_wakes(), 1);
        assert!(link.poll_send(&client).is_ready());
    }

    #[test]
    fn an_end_comes_behind_the_packets_and_wakes_all_who_wait() {
        let link = MemoryLink::default();
        let ((server, server_wakes), (client, client_wakes)) = (waker(), waker());
        let (server, client) = (Context::from_waker(&server), Context::from_waker(&client));
        link.send(packet(1)).unwrap();
        link.push([packet(2)]);
        link.end_client(ClientEnd::Closed);
        link.end_client(ClientEnd::Lost);
        assert_eq!(link.poll_packet(&server), Poll::Ready(Ok(packet(1))));
        let end = Poll::Ready(Err(ClientEnd::Closed));
        assert_eq!(link.poll_packet(&server), end);
        assert_eq!(link.poll_room(&server), Poll::Ready(Err(ClientEnd::Closed)));
        link.push([packet(3)]);
        assert_eq!(link.try_next(), None);

        let link = MemoryLink::default();
        assert!(link.poll_packet(&server).is_pending());
        link.end_client(ClientEnd::Lost);
        assert_eq!(server_wakes(), 1);

        let link = MemoryLink::default();
        link.push([packet(2)]);
        link.send(packet(CAPACITY)).unwrap();
        assert!(link.poll_send(&client).is_pending());
        link.end_server(None);
        assert_eq!(client_wakes(), 1);
        assert!(matches!(link.send(packet(1)), Err(NotSent::Closed)));
        assert_eq!(link.poll_next(&client), Poll::Ready(Some(packet(2))));
        assert_eq!(link.poll_next(&client), Poll::Ready(None));
    }

    #[test]
    fn an_idle_link_retains_no_queue() {
        let link = MemoryLink::default();
        for _ in 0..100 {
            link.send(packet(1)).unwrap();
            link.push([packet(1)]);
        }
        while link.try_next().is_some() {}
        let cx = Context::from_waker(Waker::noop());
        while link.poll_packet(&cx).is_ready() {}
        let state = link.state.lock();
        let queues = [&state.to_client, &state.to_server];
        assert!(
            queues
                .iter()
                .all(|queue| queue.packets.capacity() == 0 && queue.bytes == 0)
        );
    }
}
