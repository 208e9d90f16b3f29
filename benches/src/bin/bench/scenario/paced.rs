//! Echo at a given load, whatever the server can do: how long do clients wait?

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::Times;
use crate::connect::Client;
use crate::measure::{Histogram, Process, Sample, Watch};
use crate::net::{Net, Request};

/// Sends `rate` requests a second, each at its time, from the clients in turn.
///
/// A latency counts from when a request was due, so a server that falls behind is not spared. Requests that are not answered
/// when the time is over count with what they have waited until then.
pub fn paced(
    net: &mut Net,
    server: Process,
    clients: &[Client],
    request: &Request,
    rate: f64,
    times: Times,
) -> io::Result<Sample> {
    let gap = Duration::from_secs_f64(1.0 / rate);
    let mut due: Vec<VecDeque<Instant>> = vec![VecDeque::new(); net.len()];
    let mut latencies = Histogram::default();
    let mut received = 0;
    let started = Instant::now();
    let measured = started + times.warm_up;
    let end = measured + times.measure;
    let mut next = started;
    let mut turns = clients.iter().cycle();
    let mut watch = Watch::start(server)?;
    let mut warm = false;
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        if !warm && now >= measured {
            warm = true;
            received = 0;
            watch = Watch::start(server)?;
        }
        // Not too many at once, or answers would wait for the generator.
        for _ in 0..16 {
            if next > now {
                break;
            }
            let Some(client) = turns.next() else {
                break;
            };
            net.send(client.socket, request.times(1))?;
            if let Some(due) = due.get_mut(client.socket) {
                due.push_back(next);
            }
            next += gap;
        }
        net.turn(Some(Duration::ZERO), |socket, _, seen| {
            let now = Instant::now();
            let Some(due) = due.get_mut(socket) else {
                return Ok(());
            };
            for _ in 0..seen.answers() {
                if let Some(due) = due.pop_front().filter(|&due| due >= measured) {
                    latencies.add(now - due);
                }
            }
            received += u64::from(seen.answers());
            Ok(())
        })?;
    }
    let now = Instant::now();
    for due in due.iter().flatten().filter(|&&due| due >= measured) {
        latencies.add(now - *due);
    }
    let sample = watch.stop(received.max(1), &latencies)?;
    Ok(Sample {
        value: sample.p99.unwrap_or_default(),
        ..sample
    })
}
