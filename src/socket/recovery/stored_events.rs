//! Events of a socket that its client receives even if it was disconnected, after it has resumed the session.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::future::{Either, select};

use crate::adapter::{LocalSockets, Publication};
use crate::clock::now;
use crate::outbox::{EmitError, Frame, Pushed, SendOptions, Sending};
use crate::rooms::{Audience, Forgotten, History, HistoryState, Target};
use crate::socket::Socket;
use crate::socket::handle::Inner;
use proto::EncodedArgs;

impl Socket {
    /// Queues an event, or stores it until the client resumes the session.
    pub(in crate::socket) fn send_and_store(
        &self,
        history: &History<Inner>,
        args: &EncodedArgs,
        options: SendOptions,
    ) -> Result<bool, EmitError> {
        if history.store.is_some() && !options.is_volatile() {
            return self.hand_over(history, args, options);
        }
        self.observe(args);
        let mut forgotten = Forgotten::default();
        let mut locked = history.lock();
        let (_, frame) = self.next_frame(&locked, args, options);
        let mut pushed = match self.holder() {
            Some(outbox) => outbox.push(frame.clone(), options.reliability),
            None => Pushed::Closed,
        };
        if pushed == Pushed::Closed && !options.is_volatile() && self.is_known(&locked) {
            pushed = Pushed::Queued;
        }
        if pushed == Pushed::Queued && !options.is_volatile() {
            let audience = Audience::Socket(self.id());
            locked.append(now(), audience, frame.clone(), &mut forgotten);
        }
        // Frames hold values of users, which are dropped without holding a lock.
        drop(locked);
        drop(forgotten);
        self.0.namespace.sweep();
        self.0.namespace.sent(pushed)
    }

    /// Queues an event as soon as the outbox has room, or stores it until the client resumes the session.
    pub(in crate::socket) async fn send_and_store_when_writable(
        &self,
        history: &History<Inner>,
        args: EncodedArgs,
        options: SendOptions,
    ) -> Result<(), EmitError> {
        if history.store.is_some() {
            self.flushed().await;
            return self.send_and_store(history, &args, options).map(drop);
        }
        self.observe(&args);
        let mut unsent = Unsent {
            history,
            number: None,
        };
        let mut sending: Option<Sending<'_>> = None;
        let sent = std::future::poll_fn(|cx: &mut Context<'_>| {
            if let Some(sending) = &mut sending {
                return Pin::new(sending).poll(cx);
            }
            let mut forgotten = Forgotten::default();
            let mut locked = history.lock();
            if !self.connected() {
                // The client may have resumed the session with another socket.
                drop(locked);
                return Poll::Ready(self.send_and_store(history, &args, options).map(drop));
            }
            let (number, frame) = self.next_frame(&locked, &args, options);
            let audience = Audience::Socket(self.id());
            locked.append(now(), audience, frame.clone(), &mut forgotten);
            unsent.number = Some(number);
            // The event is queued, or waits for room, before another event gets the next number.
            let sent = Pin::new(sending.insert(self.0.member.outbox.send(frame))).poll(cx);
            drop(locked);
            drop(forgotten);
            sent
        });
        let sent = match select(pin!(sent), pin!(self.closed())).await {
            Either::Left((sent, _)) => sent,
            Either::Right(_) => Err(EmitError::Closed),
        };
        let known = unsent.number.is_some() && self.is_known(&history.lock());
        if sent.is_err() && !known {
            return sent;
        }
        let stored = unsent.number.take().is_some();
        self.0.namespace.sweep();
        if stored {
            self.0.namespace.sent(Pushed::Queued).map(drop)
        } else {
            sent
        }
    }

    /// Hands an event to the store, as one for the room of the socket's id. It is delivered like a broadcast, when its
    /// position is known, so an outbox that is full then is only counted.
    fn hand_over(
        &self,
        history: &History<Inner>,
        args: &EncodedArgs,
        options: SendOptions,
    ) -> Result<bool, EmitError> {
        if !self.connected() && !self.is_known(&history.lock()) {
            return Err(EmitError::Closed);
        }
        let target = Target {
            rooms: Some(vec![self.id().as_str().into()]),
            options,
            ..Target::default()
        };
        let (args, target) = (args.clone(), &target);
        self.0
            .namespace
            .local
            .broadcast(Publication { args, target });
        Ok(true)
    }

    /// Calls the hooks for outgoing events, if the client is connected.
    fn observe(&self, args: &EncodedArgs) {
        if self.0.namespace.members.observed && self.connected() {
            let frame = self.0.namespace.encoder.event_at(args, None);
            self.0.member.observe(&frame);
        }
    }

    /// Returns the number of the next event in the history, and the frame of an event with the offset of that number.
    fn next_frame(
        &self,
        locked: &HistoryState<Inner>,
        args: &EncodedArgs,
        options: SendOptions,
    ) -> (u64, Frame) {
        // A volatile event is not stored, and has the offset of the last one.
        let number = locked.log.last() + u64::from(!options.is_volatile());
        let offset = locked.log.offset(number);
        let frame = self.0.namespace.encoder.event_at(args, Some(&offset));
        (number, options.apply(frame))
    }
}

/// An event in the history that is withdrawn if its future is dropped before it was queued.
struct Unsent<'a> {
    history: &'a History<Inner>,
    number: Option<u64>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let withdrawn = self.history.lock().log.withdraw(number);
            drop(withdrawn);
        }
    }
}
