//! Requests and their answers, with a fixed number in flight: echo, acknowledgements, binary, JSON.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crate::connect::Client;
use crate::measure::{Histogram, Process, Sample, Watch};
use crate::net::{Net, Request};
use crate::server::Kind;

/// The duration of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The time before the measurement starts.
    pub warm_up: Duration,
    pub measure: Duration,
}

impl Times {
    /// Extends the time to warm up for servers that need it.
    pub fn for_server(self, kind: Kind) -> Self {
        let longer = if kind.compiles_late() { 3 } else { 1 };
        Self {
            warm_up: self.warm_up * longer,
            ..self
        }
    }
}

/// Keeps `window` requests of each client in flight.
pub fn exchange(
    net: &mut Net,
    server: Process,
    clients: &[Client],
    request: &Request,
    window: usize,
    times: Times,
) -> io::Result<Sample> {
    let mut run = Run {
        sent: vec![VecDeque::with_capacity(window); net.len()],
        latencies: Histogram::default(),
        received: 0,
        sending: true,
    };
    let now = Instant::now();
    for client in clients {
        net.send(client.socket, request.times(window))?;
        if let Some(sent) = run.sent.get_mut(client.socket) {
            sent.extend(std::iter::repeat_n(now, window));
        }
    }
    run.until(net, request, times.warm_up)?;
    run.latencies.clear();
    run.received = 0;
    let watch = Watch::start(server)?;
    run.until(net, request, times.measure)?;
    let sample = watch.stop(run.received, &run.latencies)?;
    run.drain(net, request)?;
    Ok(sample)
}

struct Run {
    /// The times at which the unanswered requests were sent, by socket.
    sent: Vec<VecDeque<Instant>>,
    latencies: Histogram,
    received: u64,
    sending: bool,
}

impl Run {
    fn until(&mut self, net: &mut Net, request: &Request, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(net, request, Some(left))?;
        }
    }

    /// Waits for the pending answers, so that the next run begins with none.
    fn drain(&mut self, net: &mut Net, request: &Request) -> io::Result<()> {
        self.sending = false;
        while self.sent.iter().any(|sent| !sent.is_empty()) {
            self.turn(net, request, None)?;
        }
        Ok(())
    }

    fn turn(&mut self, net: &mut Net, request: &Request, wait: Option<Duration>) -> io::Result<()> {
        net.turn(wait, |socket, conn, seen| {
            let Some(sent) = self.sent.get_mut(socket) else {
                return Ok(());
            };
            let (now, answers) = (Instant::now(), seen.answers());
            for _ in 0..answers {
                let sent = sent
                    .pop_front()
                    .ok_or_else(|| io::Error::other("an answer came to no request"))?;
                self.latencies.add(now - sent);
            }
            self.received += u64::from(answers);
            if self.sending {
                sent.extend(std::iter::repeat_n(now, answers as usize));
                conn.send(request.times(answers as usize))?;
            }
            Ok(())
        })
    }
}
