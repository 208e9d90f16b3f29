//! The resident memory of idle connections.

use std::io;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use crate::connect::{Client, Way, connect};
use crate::measure::{Process, Sample};
use crate::net::{Net, Request};

/// The time in which a server can free unused memory.
const SETTLE: Duration = Duration::from_millis(700);

pub struct Memory {
    /// The memory of each client that has just connected.
    pub fresh: Sample,
    /// The memory after each client has echoed a message.
    pub used: Sample,
    /// The memory that remains after all clients have left, for each of them.
    pub left: Sample,
    /// The memory after the same number of clients has connected again.
    pub second: Sample,
}

pub fn memory(
    net: &mut Net,
    address: SocketAddr,
    server: Process,
    clients: usize,
    echo: &Request,
) -> io::Result<Memory> {
    let before = server.memory()?;
    let each = || -> io::Result<Sample> {
        sleep(SETTLE);
        let grown = server.memory()?.saturating_sub(before);
        Ok(Sample {
            value: grown as f64 / 1024.0 / clients as f64,
            count: clients as u64,
            ..Sample::default()
        })
    };
    let members = connect(net, address, Way::WebSocket, clients)?;
    let fresh = each()?;
    echo_once(net, &members, echo)?;
    let used = each()?;
    net.close_all();
    // The server has to read the end of ten thousand connections.
    sleep(SETTLE);
    let left = each()?;
    connect(net, address, Way::WebSocket, clients)?;
    let second = each()?;
    net.close_all();
    Ok(Memory {
        fresh,
        used,
        left,
        second,
    })
}

fn echo_once(net: &mut Net, clients: &[Client], echo: &Request) -> io::Result<()> {
    for some in clients.chunks(50) {
        for client in some {
            net.send(client.socket, echo.times(1))?;
        }
        let mut left = some.len();
        while left > 0 {
            net.turn(None, |_, _, seen| {
                left = left.saturating_sub(seen.events as usize);
                Ok(())
            })?;
        }
    }
    Ok(())
}
