//! The cost of connecting clients.

use std::io;
use std::net::SocketAddr;

use crate::connect::{Way, connect};
use crate::measure::{Histogram, Process, Sample, Watch};
use crate::net::Net;

pub fn handshakes(
    net: &mut Net,
    address: SocketAddr,
    server: Process,
    way: Way,
    clients: usize,
) -> io::Result<Sample> {
    // The first half warms up a just-in-time compiler.
    connect(net, address, way, clients / 2)?;
    let watch = Watch::start(server)?;
    connect(net, address, way, clients)?;
    let sample = watch.stop(clients as u64, &Histogram::default());
    net.close_all();
    sample
}
