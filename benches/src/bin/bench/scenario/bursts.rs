//! Bursts of events to clients that poll, which show the number of requests that are needed to fetch them.

use std::io;
use std::net::SocketAddr;

use super::Times;
use super::crowd::steps;
use crate::connect::{Client, Way, connect};
use crate::measure::{Process, Sample};
use crate::net::{Net, event, get, post, text_frame};

const ROOM: &str = "bursts";

/// Broadcasts bursts of this number of events to clients that poll, each burst after the previous one has been fetched.
pub fn bursts(
    net: &mut Net,
    address: SocketAddr,
    server: Process,
    clients: usize,
    burst: usize,
    times: Times,
) -> io::Result<Sample> {
    let pollers = connect(net, address, Way::Polling, clients)?;
    join(net, &pollers)?;
    let caster = connect(net, address, Way::WebSocket, 1)?.swap_remove(0);
    let cast = text_frame(&event(&("cast", ROOM, burst, "x".repeat(32)))?);
    let mut gets = vec![Vec::new(); net.len()];
    for poller in &pollers {
        if let Some(slot) = gets.get_mut(poller.socket) {
            *slot = get(&poller.sid).into_bytes();
        }
    }
    let expected = pollers.len() * burst;
    let sample = steps(server, times, || {
        for poller in &pollers {
            let get = gets.get(poller.socket).map_or(&[][..], Vec::as_slice);
            net.send(poller.socket, get)?;
        }
        net.send(caster.socket, &cast)?;
        let mut fetched = vec![0; gets.len()];
        let mut left = expected;
        while left > 0 {
            net.turn(None, |socket, conn, seen| {
                let (Some(fetched), Some(get)) = (fetched.get_mut(socket), gets.get(socket)) else {
                    return Ok(());
                };
                if seen.responses == 0 {
                    return Ok(());
                }
                let events = conn.body().split(|&byte| byte == 0x1e);
                let events = events.filter(|packet| packet.starts_with(b"42")).count();
                *fetched += events;
                left = left.saturating_sub(events);
                if *fetched < burst {
                    conn.send(get)?;
                }
                Ok(())
            })?;
        }
        Ok(expected as u64)
    });
    net.close_all();
    sample
}

fn join(net: &mut Net, pollers: &[Client]) -> io::Result<()> {
    let join = format!(r#"420["join",["{ROOM}"]]"#);
    // The first request is the POST, the second the poll that receives the acknowledgement.
    for request in [
        |sid: &str, join: &str| post(sid, join),
        |sid: &str, _: &str| get(sid),
    ] {
        for poller in pollers {
            net.send(poller.socket, request(&poller.sid, &join).as_bytes())?;
        }
        let mut left = pollers.len();
        while left > 0 {
            net.turn(None, |_, _, seen| {
                left = left.saturating_sub(seen.responses as usize);
                Ok(())
            })?;
        }
    }
    Ok(())
}
