//! Benchmarks of queueing a broadcast for the members of a room, and of joining and leaving. Reading by the clients is
//! not measured.

use std::time::{Duration, Instant};

use axum_socketio::{Namespace, SocketIo};
use criterion::{Criterion, Throughput};

use crate::server::{Client, builder, runtime, shout};

/// The number of broadcasts that are queued before the clients read.
const BURST: u64 = 64;

pub(crate) fn benches(criterion: &mut Criterion) {
    broadcasts(criterion);
    joins(criterion);
}

fn broadcasts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rooms/broadcast");
    for (count, ordered) in [
        (10, false),
        (100, false),
        (1000, false),
        (10, true),
        (1000, true),
    ] {
        let runtime = runtime();
        let namespace = if ordered {
            Namespace::new().ordered_broadcasts()
        } else {
            Namespace::new()
        };
        let io = builder().namespace("/", namespace).build();
        let mut members = runtime.block_on(members(&io, count));
        group.throughput(Throughput::Elements(count as u64));
        let order = if ordered { ", in one order" } else { "" };
        group.bench_function(format!("to {count}{order}"), |bencher| {
            bencher.iter_custom(|times| runtime.block_on(burst(&io, &mut members, times)));
        });
    }
}

/// Returns the duration of this number of broadcasts, without the reading.
async fn burst(io: &SocketIo, members: &mut [Client], mut times: u64) -> Duration {
    let mut took = Duration::ZERO;
    while times > 0 {
        let now = times.min(BURST);
        let start = Instant::now();
        for _ in 0..now {
            shout(io, "all");
        }
        took += start.elapsed();
        for member in &mut *members {
            member.drain(now as usize).await;
        }
        times -= now;
    }
    took
}

async fn members(io: &SocketIo, count: usize) -> Vec<Client> {
    let mut members = Vec::new();
    for _ in 0..count {
        let member = Client::connect(io).await;
        member.socket.join("all");
        members.push(member);
    }
    members
}

fn joins(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rooms/join and leave");
    for count in [0, 10, 1000] {
        let runtime = runtime();
        let io = builder().build();
        let _members = runtime.block_on(members(&io, count));
        let client = runtime.block_on(Client::connect(&io));
        group.bench_function(format!("a room of {count}"), |bencher| {
            bencher.iter(|| {
                client.socket.join("all");
                client.socket.leave("all");
            });
        });
    }
}
