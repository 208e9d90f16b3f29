//! Many clients in rooms, and one outside of them that makes the server broadcast.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use super::Times;
use crate::connect::{Client, Way, connect};
use crate::measure::{Histogram, Process, Sample, Watch};
use crate::net::{Net, event, event_with_ack, text_frame};

/// The number of members of a small room, and of small rooms that each client is in.
const SMALL: usize = 10;
/// The number of clients that join and leave during broadcasts.
const RESTLESS: usize = 10;

pub struct Crowd {
    members: Vec<Client>,
    caster: usize,
    /// The position of each socket's client among the members, if it is one.
    position: Vec<Option<usize>>,
}

impl Crowd {
    /// Connects this number of clients. The first of them is in the room `r1`, the first hundred in `r100`, and so on.
    /// Each client also has a small room, which it shares with the nine that follow.
    pub fn assemble(net: &mut Net, server: SocketAddr, clients: usize) -> io::Result<Self> {
        let members = connect(net, server, Way::WebSocket, clients)?;
        let caster = connect(net, server, Way::WebSocket, 1)?
            .swap_remove(0)
            .socket;
        let mut position = vec![None; net.len()];
        for (at, member) in members.iter().enumerate() {
            if let Some(slot) = position.get_mut(member.socket) {
                *slot = Some(at);
            }
        }
        let crowd = Self {
            members,
            caster,
            position,
        };
        crowd.join_rooms(net)?;
        Ok(crowd)
    }

    fn join_rooms(&self, net: &mut Net) -> io::Result<()> {
        const AT_ONCE: usize = 500;

        let clients = self.members.len();
        for (group, members) in self.members.chunks(AT_ONCE).enumerate() {
            for (at, member) in members.iter().enumerate() {
                let at = group * AT_ONCE + at;
                let sized = [1, 100, 1000, 10_000]
                    .into_iter()
                    .filter(|&size| at < size)
                    .map(sized);
                let small = (0..SMALL).map(|next| small((at + next) % clients));
                let rooms: Vec<String> = sized.chain(small).collect();
                net.send(
                    member.socket,
                    &text_frame(&event_with_ack(&("join", rooms))?),
                )?;
            }
            let mut left = members.len();
            while left > 0 {
                net.turn(None, |_, _, seen| {
                    left = left.saturating_sub(seen.acks as usize);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Broadcasts to the room of this number of members in bursts, each after the previous one has arrived at all of
    /// them.
    pub fn cast(
        &self,
        net: &mut Net,
        server: Process,
        Cast {
            members,
            burst,
            bytes,
        }: Cast,
        times: Times,
    ) -> io::Result<Sample> {
        let frame = cast_frame(&sized(members), burst, bytes)?;
        let expected = (members * burst) as u64;
        steps(server, times, || {
            net.send(self.caster, &frame)?;
            let mut received = 0;
            while received < expected {
                net.turn(None, |_, _, seen| {
                    received += u64::from(seen.events);
                    Ok(())
                })?;
            }
            Ok(received)
        })
    }

    /// Broadcasts to the small rooms in turn, some of them at once.
    pub fn small_rooms(&self, net: &mut Net, server: Process, times: Times) -> io::Result<Sample> {
        const AT_ONCE: usize = 20;

        let frames = (0..self.members.len())
            .map(|room| cast_frame(&small(room), 1, 128))
            .collect::<io::Result<Vec<_>>>()?;
        let mut batches = frames.chunks_exact(AT_ONCE).map(<[_]>::concat).cycle();
        let expected = (AT_ONCE * SMALL) as u64;
        steps(server, times, || {
            let batch = batches
                .next()
                .ok_or_else(|| io::Error::other("there are too few clients for small rooms"))?;
            net.send(self.caster, &batch)?;
            let mut received = 0;
            while received < expected {
                net.turn(None, |_, _, seen| {
                    received += u64::from(seen.events);
                    Ok(())
                })?;
            }
            Ok(received)
        })
    }

    /// Broadcasts repeatedly to a room that ten clients join or leave at the same time.
    pub fn restless(
        &self,
        net: &mut Net,
        server: Process,
        members: usize,
        times: Times,
    ) -> io::Result<Sample> {
        let first_restless = self.members.len() - RESTLESS;
        if members > first_restless {
            return Err(io::Error::other(
                "there are too few clients to join and leave",
            ));
        }
        let frame = cast_frame(&sized(members), 1, 128)?;
        let room = [sized(members)];
        let moves = [
            text_frame(&event_with_ack(&("join", &room))?),
            text_frame(&event_with_ack(&("leave", &room))?),
        ];
        let mut turns = moves.iter().cycle();
        steps(server, times, || {
            let Some(one) = turns.next() else {
                return Ok(0);
            };
            let Some((_, restless)) = self.members.split_at_checked(first_restless) else {
                return Ok(0);
            };
            // Half of them are sent before the broadcast and half after, so that both orders occur.
            let (before, after) = restless.split_at(RESTLESS / 2);
            for client in before {
                net.send(client.socket, one)?;
            }
            net.send(self.caster, &frame)?;
            for client in after {
                net.send(client.socket, one)?;
            }
            let (mut settled, mut acks, mut all) = (0, 0, 0);
            while settled < members || acks < RESTLESS {
                net.turn(None, |socket, _, seen| {
                    let position = self.position.get(socket).copied().flatten();
                    if position.is_some_and(|at| at < members) {
                        settled += seen.events as usize;
                    }
                    acks += seen.acks as usize;
                    all += u64::from(seen.events);
                    Ok(())
                })?;
            }
            Ok(all)
        })
    }
}

/// The parameters of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast {
    pub members: usize,
    pub burst: usize,
    pub bytes: usize,
}

/// Repeats a step that returns the number of its deliveries.
pub(super) fn steps(
    server: Process,
    times: Times,
    mut step: impl FnMut() -> io::Result<u64>,
) -> io::Result<Sample> {
    let warm = Instant::now();
    while warm.elapsed() < times.warm_up {
        step()?;
    }
    let mut latencies = Histogram::default();
    let mut deliveries = 0;
    let watch = Watch::start(server)?;
    while watch.elapsed() < times.measure {
        let started = Instant::now();
        deliveries += step()?;
        latencies.add(started.elapsed());
    }
    watch.stop(deliveries, &latencies)
}

fn sized(members: usize) -> String {
    format!("r{members}")
}

fn small(number: usize) -> String {
    format!("small-{number}")
}

fn cast_frame(room: &str, burst: usize, bytes: usize) -> io::Result<Vec<u8>> {
    Ok(text_frame(&event(&(
        "cast",
        room,
        burst,
        "x".repeat(bytes),
    ))?))
}
