//! An echo at a given rate, whatever the capacity of the server, which shows the latency of clients.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::Times;
use crate::connect::Client;
use crate::measure::{Histogram, Process, Sample, Watch};
use crate::net::{Net, Request};

/// Sends `rate` requests per second, each at its scheduled time, from the clients in turn.
///
/// A latency counts from the scheduled time of a request, so it includes the delay of a server that falls behind.
/// Requests without an answer at the end count with the time that they have waited until then.
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
        // The number is limited, or answers would wait for the generator.
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
