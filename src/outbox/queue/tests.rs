use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake};

use super::*;
use crate::outbox::EmitError;
use crate::outbox::Readiness::{Ready, Stalled};
use crate::outbox::Reliability::{Reliable, Volatile};
use proto::socket_io::{EncodedPacket, Kind};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn frame() -> Frame {
    Frame::new(EncodedPacket::plain(Kind::Disconnect, "/", None))
}

fn named(nsp: &str) -> Frame {
    Frame::new(EncodedPacket::plain(Kind::Disconnect, nsp, None))
}

fn written(frame: &Frame) -> Written {
    Written {
        packets: 1,
        bytes: frame.size(),
    }
}

fn take(outbox: &Outbox) -> usize {
    let mut frames = VecDeque::new();
    outbox.take(&mut frames);
    frames.len()
}

#[test]
fn frames_count_until_they_are_written() {
    let outbox = Outbox::new(2, 1000);
    assert_eq!(outbox.push(frame(), Reliable), Pushed::Queued);
    assert_eq!(outbox.push(frame(), Reliable), Pushed::Queued);
    assert_eq!(take(&outbox), 2);
    assert!(matches!(outbox.push(frame(), Reliable), Pushed::Full(_)));
    outbox.record_written(written(&frame()), Ready);
    assert_eq!(outbox.push(frame(), Reliable), Pushed::Queued);
}

#[test]
fn bytes_are_limited_but_one_frame_of_any_size_is_taken() {
    let outbox = Outbox::new(10, 1);
    assert_eq!(outbox.push(frame(), Reliable), Pushed::Queued);
    assert_eq!(outbox.push(frame(), Reliable), Pushed::Full(frame().size()));
}

#[test]
fn volatile_frames_are_dropped_while_the_transport_is_not_ready() {
    let outbox = Outbox::new(10, 1000);
    assert_eq!(outbox.push(frame(), Volatile), Pushed::Queued);
    assert_eq!(outbox.push(frame(), Volatile), Pushed::Dropped);
    assert_eq!(take(&outbox), 1);
    outbox.record_written(written(&frame()), Ready);
    outbox.record_written(Written::default(), Stalled);
    assert_eq!(outbox.push(frame(), Volatile), Pushed::Dropped);
}

#[test]
fn a_push_wakes_the_writer_once_or_keeps_it_from_sleeping() {
    let (outbox, count) = (Outbox::new(10, 1000), Arc::new(Count::default()));
    let waker = Waker::from(Arc::clone(&count));
    outbox.push(frame(), Reliable);
    assert!(
        outbox.register_writer(&waker),
        "something has happened before"
    );
    assert!(!outbox.register_writer(&waker));
    outbox.push(frame(), Reliable);
    outbox.push(frame(), Reliable);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_waiting_sender_is_woken_by_free_room_or_by_the_end() {
    let (outbox, count) = (Outbox::new(2, 1000), Arc::new(Count::default()));
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    assert!(pin!(outbox.flushed()).poll(cx).is_ready());
    outbox.push(frame(), Reliable);
    let mut flushed = pin!(outbox.flushed());
    assert!(flushed.as_mut().poll(cx).is_pending());
    outbox.record_written(written(&frame()), Ready);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    outbox.push(frame(), Reliable);
    assert!(flushed.as_mut().poll(cx).is_pending());
    outbox.close();
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert_eq!(outbox.push(frame(), Reliable), Pushed::Closed);
}

#[test]
fn frames_that_wait_for_room_are_let_in_in_order_and_overtaken_by_none() {
    let (outbox, count) = (Outbox::new(1, 1000), Arc::new(Count::default()));
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    let mut sends = ["/a", "/b", "/c", "/d"].map(|name| Box::pin(outbox.send(named(name))));
    assert!(sends[0].as_mut().poll(cx).is_ready());
    for send in &mut sends[1..] {
        assert!(send.as_mut().poll(cx).is_pending());
    }
    let mut sends = sends.into_iter().skip(1);
    let (first, withdrawn, mut last) = (sends.next(), sends.next(), sends.next().unwrap());
    let mut first = first.unwrap();
    assert_eq!(outbox.queued().packets, 1);

    assert_eq!(take(&outbox), 1);
    assert!(!outbox.record_written(written(&named("/a")), Ready).full);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(matches!(first.as_mut().poll(cx), Poll::Ready(Ok(()))));
    assert!(last.as_mut().poll(cx).is_pending());
    drop(withdrawn);

    let mut frames = VecDeque::new();
    outbox.take(&mut frames);
    assert_eq!(frames[0].text(), b"41/b,");
    assert!(matches!(outbox.push(frame(), Reliable), Pushed::Full(_)));
    outbox.record_written(written(&frames[0]), Ready);
    assert!(matches!(last.as_mut().poll(cx), Poll::Ready(Ok(()))));
    outbox.take(&mut frames);
    assert_eq!(frames[1].text(), b"41/d,");
}

#[test]
fn a_frame_behind_a_withdrawn_one_may_fit() {
    let outbox = Outbox::new(10, 2 * frame().size());
    let cx = &mut Context::from_waker(Waker::noop());
    outbox.push(frame(), Reliable);
    let mut large = Box::pin(outbox.send(named(&"/".repeat(100))));
    let mut small = Box::pin(outbox.send(frame()));
    assert!(large.as_mut().poll(cx).is_pending());
    assert!(small.as_mut().poll(cx).is_pending());
    drop(large);
    assert!(small.as_mut().poll(cx).is_ready());
    assert_eq!(take(&outbox), 2);
}

#[test]
fn a_waiting_frame_counts_as_refused_until_bytes_are_written() {
    let outbox = Outbox::new(1, 1000);
    let cx = &mut Context::from_waker(Waker::noop());
    outbox.push(frame(), Reliable);
    let mut sends = [(); 2].map(|()| Box::pin(outbox.send(frame())));
    for send in &mut sends {
        assert!(send.as_mut().poll(cx).is_pending());
    }
    assert!(
        outbox.record_written(Written::default(), Stalled).full,
        "the client does not read"
    );
    assert!(
        !outbox.record_written(written(&frame()), Stalled).full,
        "it does"
    );
    assert!(
        outbox.record_written(Written::default(), Stalled).full,
        "and now it does not again"
    );
    outbox.close();
    for send in &mut sends {
        let sent = send.as_mut().poll(cx);
        assert!(matches!(sent, Poll::Ready(Err(EmitError::Closed))));
    }
}

#[test]
fn a_waiting_sender_has_one_waker_and_a_dropped_one_has_none() {
    let outbox = Outbox::new(2, 1000);
    outbox.push(frame(), Reliable);
    let waiting = || outbox.state.lock().flush_wakers.len();
    let mut flushed = Box::pin(outbox.flushed());
    for _ in 0..2 {
        let waker = Waker::from(Arc::new(Count::default()));
        assert!(
            flushed
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        assert_eq!(waiting(), 1);
    }
    drop(flushed);
    assert_eq!(waiting(), 0);
}

#[test]
fn protocol_packets_are_queued_beyond_the_limits() {
    let outbox = Outbox::new(2, 1000);
    for _ in 0..3 {
        outbox.push_required(frame());
    }
    assert_eq!(outbox.state.lock().packets, 3);
    assert!(matches!(outbox.push(frame(), Reliable), Pushed::Full(_)));
    outbox.close();
    outbox.push_required(frame());
    assert_eq!(take(&outbox), 0);
}

#[test]
fn it_is_half_full_above_half_of_its_limits() {
    let outbox = Outbox::new(2, 1000);
    outbox.push(frame(), Reliable);
    assert!(!outbox.is_half_full());
    outbox.push(frame(), Reliable);
    assert!(outbox.is_half_full());
    take(&outbox);
    assert!(outbox.is_half_full(), "taken, but not written");
    outbox.record_written(written(&frame()), Ready);
    assert!(!outbox.is_half_full());
}

#[test]
fn frames_are_taken_in_order_and_one_by_one_if_they_fit() {
    let outbox = Outbox::new(1000, 100_000);
    let mut taken = VecDeque::from([named("/0")]);
    for name in ["/1", "/2", "/3"] {
        outbox.push(named(name), Reliable);
    }
    assert!(outbox.take_if(|_| false).is_none());
    let first = outbox.take_if(|frame| frame.packets() == 1).unwrap();
    assert_eq!(first.text(), b"41/1,");
    outbox.take(&mut taken);
    assert!(outbox.is_empty());
    let texts: Vec<_> = taken.iter().map(Frame::text).collect();
    assert_eq!(texts, [b"41/0,", b"41/2,", b"41/3,"]);
    for _ in 0..100 {
        outbox.push(named("/x"), Reliable);
    }
    outbox.take(&mut taken);
    assert_eq!(taken.len(), 103);
    assert_eq!(taken[0].text(), b"41/0,");
}

#[test]
fn a_writer_that_has_taken_all_frames_may_sleep() {
    let outbox = Outbox::new(10, 1000);
    outbox.push(frame(), Reliable);
    take(&outbox);
    assert!(!outbox.register_writer(Waker::noop()));
    outbox.notify_writer();
    take(&outbox);
    assert!(outbox.register_writer(Waker::noop()), "not for a frame");
    assert!(outbox.take_notification() && !outbox.take_notification());
    assert!(!outbox.register_writer(Waker::noop()));
}

#[test]
fn an_awake_writer_is_not_woken_but_checks_again() {
    let (outbox, count) = (Outbox::new(10, 1000), Arc::new(Count::default()));
    let waker = Waker::from(Arc::clone(&count));
    assert!(!outbox.register_writer(&waker));
    outbox.mark_writer_awake();
    outbox.push(frame(), Reliable);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    assert!(outbox.register_writer(&waker));
}

/// A transport that accepts the given number of bytes in each call. 0 is a refusal.
#[derive(Debug, Default)]
struct Slot {
    takes: Lock<VecDeque<usize>>,
    taken: Lock<Vec<Vec<u8>>>,
}

impl Direct for Slot {
    fn runtime(&self) -> RuntimeId {
        RuntimeId(7)
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let takes = self.takes.lock().pop_front().unwrap_or(usize::MAX);
        if takes == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let takes = takes.min(bytes.len());
        self.taken.lock().push(bytes[..takes].to_vec());
        Ok(takes)
    }
}

/// Creates an outbox whose writer sleeps. Returns its transport and the number of wake-ups of the writer as well.
fn asleep(takes: &[usize]) -> (Outbox, Arc<Slot>, Arc<Count>) {
    let (outbox, count) = (Outbox::new(4, 100_000), Arc::new(Count::default()));
    let line = Arc::new(Slot::default());
    line.takes.lock().extend(takes);
    outbox.set_direct(Arc::clone(&line) as Arc<dyn Direct>);
    assert!(!outbox.register_writer(&Waker::from(Arc::clone(&count))));
    (outbox, line, count)
}

fn chunk(frame: &Frame) -> Vec<u8> {
    frame.only_chunk().unwrap().to_vec()
}

#[test]
fn frames_are_written_directly_while_the_writer_sleeps() {
    let (outbox, line, count) = asleep(&[]);
    let names = ["/a", "/b", "/c"];
    let scheduled = names.map(|name| outbox.push_direct(named(name), Reliable));
    let queued = Pushed::Queued;
    assert_eq!(
        scheduled,
        [(queued, Some(RuntimeId(7))), (queued, None), (queued, None)]
    );
    assert_eq!(outbox.queued().packets, 3);
    assert_eq!(outbox.write_direct().packets, 3);
    let all = names.map(|name| chunk(&named(name))).concat();
    assert_eq!(*line.taken.lock(), [all]);
    assert_eq!(outbox.queued(), Queued::default());
    assert_eq!(
        outbox.push_direct(named("/d"), Volatile),
        (queued, Some(RuntimeId(7)))
    );
    assert_eq!(outbox.write_direct().packets, 1);
    assert_eq!(outbox.write_direct().packets, 0, "nothing is left");
    assert_eq!(line.taken.lock().len(), 2);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    assert_eq!(take(&outbox), 0);
}

#[test]
fn a_partial_direct_write_is_continued_by_the_writer() {
    let (a, b) = (named("/a"), named("/b"));
    for (takes, written, left) in [(0, 0, 0), (3, 0, 3), (chunk(&a).len() + 2, 1, 2)] {
        let (outbox, line, count) = asleep(&[takes]);
        outbox.push_direct(a.clone(), Reliable);
        outbox.push_direct(b.clone(), Reliable);
        assert_eq!(outbox.write_direct().packets, written);
        assert_eq!(line.taken.lock().concat().len(), takes);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let mut frames = VecDeque::new();
        assert_eq!(outbox.take(&mut frames), left);
        assert_eq!(frames.len(), 2 - written);
        assert_eq!(frames.back().map(chunk), Some(chunk(&b)));
        assert_eq!(outbox.queued().packets, 2 - written);
    }
}

#[test]
fn while_the_transport_is_stalled_nothing_is_written_past_the_writer() {
    let (outbox, line, _) = asleep(&[3]);
    outbox.push_direct(named("/a"), Reliable);
    outbox.write_direct();
    assert!(!outbox.register_writer(Waker::noop()) || !outbox.register_writer(Waker::noop()));
    assert_eq!(
        outbox.push_direct(named("/b"), Reliable),
        (Pushed::Queued, None)
    );
    assert_eq!(
        outbox.push_direct(named("/c"), Volatile),
        (Pushed::Dropped, None)
    );
    assert_eq!(outbox.write_direct().packets, 0);
    assert_eq!(line.taken.lock().concat().len(), 3);
    assert!(outbox.close(), "the first frame is partly written");
}

#[test]
fn an_awake_writer_gets_no_direct_writes() {
    let (outbox, line, count) = asleep(&[]);
    outbox.push_direct(named("/a"), Reliable);
    outbox.mark_writer_awake();
    assert_eq!(outbox.write_direct().packets, 0);
    assert_eq!(
        outbox.push_direct(named("/b"), Reliable),
        (Pushed::Queued, None)
    );
    assert!(line.taken.lock().is_empty());
    assert_eq!(take(&outbox), 2);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    assert!(!outbox.close());
}

#[test]
fn attachments_and_large_frames_are_not_written_directly() {
    use proto::{Binary, EncodedArgs};

    let args = |data: usize| {
        let data = Binary::from(bytes::Bytes::from(vec![0; data]));
        EncodedArgs::event("e", &(data,)).unwrap()
    };
    let binary = || Frame::new(EncodedPacket::from_args(args(3), Kind::Event, "/", None));
    let long = || named(&format!("/{}", "x".repeat(10_000)));
    for frames in [
        vec![binary()],
        vec![frame(), binary()],
        vec![long(), long()],
    ] {
        let (outbox, line, count) = asleep(&[]);
        for frame in &frames {
            outbox.push_direct(frame.clone(), Reliable);
        }
        assert_eq!(outbox.write_direct().packets, 0);
        assert!(line.taken.lock().is_empty());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(take(&outbox), frames.len());
    }
    let (outbox, line, count) = asleep(&[]);
    assert_eq!(
        outbox.push_direct(binary(), Reliable),
        (Pushed::Queued, None)
    );
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "at once");
    assert_eq!(take(&outbox), 1);
    assert!(line.taken.lock().is_empty());
    let (outbox, line, _) = asleep(&[]);
    outbox.push_direct(long(), Reliable);
    assert_eq!(outbox.write_direct().packets, 1);
    assert_eq!(*line.taken.lock(), [chunk(&long())]);
}

#[test]
fn a_direct_write_wakes_those_who_wait_for_the_queue_to_shrink() {
    let (outbox, _, writer) = asleep(&[]);
    for _ in 0..4 {
        outbox.push_direct(named("/a"), Reliable);
    }
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    let mut flushed = Box::pin(outbox.flushed());
    assert!(flushed.as_mut().poll(cx).is_pending());
    assert_eq!(outbox.write_direct().packets, 4);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(flushed.as_mut().poll(cx).is_ready());
    assert_eq!(writer.0.load(Ordering::Relaxed), 0);
}

#[test]
fn a_frame_that_was_refused_is_reported_once_also_if_there_is_room_again() {
    let outbox = Outbox::new(1, 1000);
    outbox.push(frame(), Reliable);
    outbox.push(frame(), Volatile);
    assert!(
        !outbox.record_written(Written::default(), Stalled).refused,
        "volatile"
    );
    outbox.push(frame(), Reliable);
    assert_eq!(take(&outbox), 1);
    let pressure = outbox.record_written(written(&frame()), Stalled);
    assert!(pressure.refused && pressure.moved && !pressure.full && !pressure.waiting);
    assert_eq!(
        outbox.record_written(Written::default(), Stalled),
        Pressure::default()
    );
}

#[test]
fn bytes_in_flight_count_until_they_are_written() {
    let (outbox, count) = (Outbox::new(1, 1000), Arc::new(Count::default()));
    let waker = Waker::from(Arc::clone(&count));
    outbox.push(frame(), Reliable);
    assert_eq!(take(&outbox), 1);
    let in_flight = outbox.record_written(Written::default(), Stalled);
    assert!(in_flight.waiting && !in_flight.moved);
    assert!(matches!(outbox.push(frame(), Reliable), Pushed::Full(_)));
    outbox.record_progress();
    let in_flight = outbox.record_written(Written::default(), Stalled);
    assert!(in_flight.waiting && in_flight.moved && in_flight.full);
    assert!(outbox.take_notification());
    assert!(!outbox.register_writer(&waker));
    outbox.record_late_write(written(&frame()));
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "the writer is woken");
    assert_eq!(outbox.push(frame(), Reliable), Pushed::Queued);
    outbox.close();
    outbox.record_late_write(written(&frame()));
    assert_eq!(outbox.queued().packets, 0);
}
