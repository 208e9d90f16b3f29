//! Runs the scenarios against the servers and writes down what they cost.

mod connect;
mod measure;
mod net;
mod scenario;
mod server;

use std::io;
use std::time::Duration;

use connect::{Way, connect};
use measure::{Cpus, raise_open_files};
use net::{Net, Request, event};
use scenario::{Times, exchange};
use server::{Kind, Programs, Server};

fn main() -> io::Result<()> {
    let files = raise_open_files()?;
    let programs = Programs {
        built: std::env::current_exe()?.parent().unwrap().to_owned(),
        node: std::env::args().nth(1).unwrap().into(),
    };
    let cpus = Cpus {
        server: 0,
        generator: 1,
    };
    for round in 0..2 {
        for kind in Kind::ALL {
            if !programs.have(kind)
                || kind == Kind::BareAxum
                || kind == Kind::BareHyper
                || kind == Kind::BareDirect
            {
                continue;
            }
            let server = Server::start(&programs, kind, 1, cpus)?;
            let mut net = Net::new()?;
            net.set_limit(Duration::from_secs(30));
            let way = if kind == Kind::BareTcp {
                Way::Tcp
            } else {
                Way::WebSocket
            };
            let clients = connect(&mut net, server.address, way, 100)?;
            let text = event(&("echo", "x".repeat(32)))?;
            let request = if kind == Kind::BareTcp {
                Request::unmasked(&text, 16)
            } else {
                Request::text(&text, 16)
            };
            for window in [1, 16] {
                let sample = exchange(
                    &mut net,
                    server.process,
                    &clients,
                    &request,
                    window,
                    Times {
                        warm_up: Duration::from_millis(300),
                        measure: Duration::from_millis(1000),
                    },
                )?;
                println!(
                    "{} {window} {:.2} {:.2} {:?}",
                    kind.name(),
                    sample.value,
                    sample.generator,
                    sample
                );
            }
        }
    }
    Ok(())
}
