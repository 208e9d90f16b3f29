//! The delivery of events in a namespace whose events get their positions from a store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Arrival, Audience, Forgotten, History, HistoryState, LoggedEvent, Position, Store};
use crate::outbox::{Frame, Outbox, RuntimeId};
use crate::rooms::{Delivered, Link, Members};

/// The tools of a delivery: the time, the encoder of an event with or without its offset, and the function that
/// schedules the write of an outbox.
pub(crate) struct Delivery<'a> {
    pub(crate) now: Instant,
    pub(crate) make: &'a dyn Fn(&LoggedEvent, Option<&str>) -> Frame,
    pub(crate) schedule_write: &'a mut dyn FnMut(RuntimeId, &Arc<Outbox>),
}

impl<L: Link> Members<L> {
    /// Hands an event to the store, which will report its position. If it cannot, the event is delivered now, behind
    /// those that wait.
    pub(crate) fn hand_over(
        &self,
        history: &History<L>,
        store: &dyn Store,
        event: LoggedEvent,
        delivery: &mut Delivery<'_>,
    ) -> Delivered {
        self.observe(&event.target, || (delivery.make)(&event, None));
        let mut forgotten = Forgotten::default();
        let turn = self.turn();
        let mut locked = history.lock();
        let taken = locked.waiting.push(event, delivery.now, store);
        let (events, bytes) = (history.options.max_packets, history.options.max_bytes);
        let mut delivered = Delivered::default();
        while (!taken && locked.waiting.since().is_some()) || locked.waiting.exceeds(events, bytes)
        {
            delivered += self.deliver_first(&mut locked, delivery, &mut forgotten);
        }
        // Frames hold bytes of users, which are dropped without holding a lock.
        drop(locked);
        drop(turn);
        drop(forgotten);
        delivered
    }

    /// Delivers an event at its position, and stores it in the log.
    pub(crate) fn arrive(
        &self,
        history: &History<L>,
        store: &dyn Store,
        (position, arrival): (Position, Arrival),
        delivery: &mut Delivery<'_>,
    ) -> Delivered {
        let arrival = match arrival {
            Arrival::Own(token) => Ok(Some(token)),
            Arrival::Delivered => Ok(None),
            Arrival::Foreign(event) => Err(LoggedEvent::from(event)),
        };
        if let Err(event) = &arrival {
            self.observe(&event.target, || (delivery.make)(event, None));
        }
        let mut forgotten = Forgotten::default();
        let turn = self.turn();
        let mut locked = history.lock();
        let event = match arrival {
            Err(foreign) => Some(foreign),
            Ok(token) => token.and_then(|token| locked.waiting.take(token)),
        };
        let mut delivered = Delivered::default();
        match event {
            Some(event) => {
                let frame = (delivery.make)(&event, Some(&store.offset(position)));
                delivered = self.queue_for_all(&event, &frame, delivery.schedule_write);
                let audience = Audience::Target(event.target);
                locked.append_at(
                    position,
                    delivery.now,
                    audience,
                    frame.unshared(),
                    &mut forgotten,
                );
            }
            // It was delivered without an offset, so the log cannot say who has it.
            None => locked.pass(position, &mut forgotten),
        }
        drop(locked);
        drop(turn);
        drop(forgotten);
        delivered
    }

    /// Delivers the events that have waited for this time, without offsets. Returns the time at which the next one has.
    pub(crate) fn deliver_overdue(
        &self,
        history: &History<L>,
        limit: Duration,
        delivery: &mut Delivery<'_>,
    ) -> (Delivered, Option<Instant>) {
        let mut forgotten = Forgotten::default();
        let mut delivered = Delivered::default();
        let turn = self.turn();
        let mut locked = history.lock();
        // A time that the clock cannot represent is never reached.
        let due = |locked: &HistoryState<L>| locked.waiting.since()?.checked_add(limit);
        while due(&locked).is_some_and(|due| due <= delivery.now) {
            delivered += self.deliver_first(&mut locked, delivery, &mut forgotten);
        }
        let next = due(&locked);
        drop(locked);
        drop(turn);
        drop(forgotten);
        (delivered, next)
    }

    /// Delivers the first event that waits, without an offset.
    fn deliver_first(
        &self,
        locked: &mut HistoryState<L>,
        delivery: &mut Delivery<'_>,
        forgotten: &mut Forgotten<L::Values>,
    ) -> Delivered {
        let Some(event) = locked.waiting.take_first() else {
            return Delivered::default();
        };
        let frame = (delivery.make)(&event, None);
        locked.cut(forgotten);
        self.queue_for_all(&event, &frame, delivery.schedule_write)
    }

    fn queue_for_all(
        &self,
        event: &LoggedEvent,
        frame: &Frame,
        mut schedule_write: &mut dyn FnMut(RuntimeId, &Arc<Outbox>),
    ) -> Delivered {
        let mut delivered = Delivered::default();
        self.for_each(&event.target, |member, written_by| {
            let reliability = event.target.options.reliability;
            delivered.met(member.queue(
                frame.clone(),
                reliability,
                written_by,
                &mut schedule_write,
            ));
        });
        delivered
    }
}
