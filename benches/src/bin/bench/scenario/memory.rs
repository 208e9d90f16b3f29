//! Resident memory for each connection that does nothing.

use std::io;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use crate::connect::{Client, Way, connect};
use crate::measure::{Process, Sample};
use crate::net::{Net, Request};

/// Time for a server to put down what it needs no more.
const SETTLE: Duration = Duration::from_millis(700);

pub struct Memory {
    /// Just connected.
    pub fresh: Sample,
    /// After each has echoed a message.
    pub used: Sample,
    /// After all have left, as a part of what each had.
    pub left: Sample,
    /// As many, once more.
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
    // The server has ten thousand ends to read.
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
