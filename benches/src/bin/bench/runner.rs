//! Runs a group of scenarios against one server.

use std::io;
use std::time::Duration;

use axum_socketio_benches::contract::Report;

use crate::check::check;
use crate::connect::{Client, Way, connect};
use crate::measure::{Cpus, Sample};
use crate::net::{Net, Request, event, event_with_ack};
use crate::plan::{Exchange, Group, Moment, Payload, Scenario, Size, What};
use crate::scenario::{Cast, Crowd, Times, exchange, handshakes, memory, paced, polling};
use crate::server::{Kind, Programs, Server, Setup};

/// No scenario takes longer, its connections included.
const LIMIT: Duration = Duration::from_secs(60);

/// What a just-in-time compiler sees before anything is measured.
const WARMING: Exchange = Exchange {
    payload: Payload::Echo(32),
    window: 16,
    clients: 100,
};

pub struct Runner {
    pub programs: Programs,
    pub cpus: Cpus,
    pub times: Times,
    pub size: Size,
    /// Requests a second that saturate socketioxide, once it has been found.
    pub saturating: Option<f64>,
}

impl Runner {
    /// Whether a server speaks the contract. Those that know nothing of Socket.IO need not.
    pub fn check(&self, kind: Kind) -> io::Result<()> {
        if matches!(kind, Kind::BareTcp | Kind::BareHyper) {
            return Ok(());
        }
        let server = Server::start(&self.programs, kind, Setup::PLAIN, self.cpus)?;
        let outcome = check(server.address, kind.is_whole());
        outcome.map_err(|error| io::Error::other(format!("{}: {error}", kind.name())))
    }

    /// Runs scenarios, all of one group. `report` gets each as soon as it is there.
    pub fn run(
        &mut self,
        kind: Kind,
        scenarios: &[&Scenario],
        report: &mut impl FnMut(&Scenario, io::Result<Sample>),
    ) -> io::Result<()> {
        let Some(group) = scenarios.first().map(|scenario| scenario.what.group()) else {
            return Ok(());
        };
        if group == Group::Saturation {
            let rate = self.saturating()?;
            for scenario in scenarios {
                report(scenario, self.at_rate(kind, rate));
            }
            return Ok(());
        }
        let setup = Setup {
            workers: if group == Group::Threads { 2 } else { 1 },
            nagle: group == Group::Nagle,
        };
        let server = Server::start(&self.programs, kind, setup, self.cpus)?;
        let mut running = Running {
            net: Net::new()?,
            server,
            kind,
            crowd: None,
        };
        if group == Group::Memory {
            return running.memory(self.size.crowd, scenarios, report);
        }
        let times = self.times.for_server(kind);
        if kind.compiles_late() && group != Group::Handshakes {
            running.net.set_limit(LIMIT);
            running.exchange(WARMING, times)?;
        }
        for scenario in scenarios {
            running.net.set_limit(LIMIT);
            let sample = running.scenario(scenario.what, times, self.size);
            let failed = sample.is_err();
            report(scenario, sample);
            if failed {
                // Nobody knows what is still on its way.
                running.net = Net::new()?;
                running.crowd = None;
                running.server = Server::start(&self.programs, kind, setup, self.cpus)?;
            }
        }
        Ok(())
    }

    /// Raises the load until socketioxide computes all the time.
    fn saturating(&mut self) -> io::Result<f64> {
        if let Some(rate) = self.saturating {
            return Ok(rate);
        }
        let mut rate = 60_000.0;
        loop {
            let sample = self.at_rate(Kind::Socketioxide, rate)?;
            if sample.server_load > 0.97 || sample.rate < rate * 0.9 {
                break;
            }
            rate *= 1.1;
        }
        self.saturating = Some(rate);
        Ok(rate)
    }

    fn at_rate(&self, kind: Kind, rate: f64) -> io::Result<Sample> {
        let server = Server::start(&self.programs, kind, Setup::PLAIN, self.cpus)?;
        let mut net = Net::new()?;
        net.set_limit(LIMIT);
        let clients = connect(&mut net, server.address, Way::WebSocket, 100)?;
        let request = request(Payload::Echo(32), kind, 1)?;
        paced(
            &mut net,
            server.process,
            &clients,
            &request,
            rate,
            self.times,
        )
    }
}

struct Running {
    net: Net,
    server: Server,
    kind: Kind,
    crowd: Option<Crowd>,
}

impl Running {
    fn scenario(&mut self, what: What, times: Times, size: Size) -> io::Result<Sample> {
        let (address, process) = (self.server.address, self.server.process);
        match what {
            What::Handshake(way) => {
                handshakes(&mut self.net, address, process, way, size.handshakes)
            }
            What::Exchange(of) | What::ThreadsExchange(of) => self.exchange(of, times),
            What::Polling => {
                let message = event(&("echo", "x".repeat(32)))?;
                polling(&mut self.net, address, process, 100, &message, times)
            }
            What::Cast(cast) => self.cast(cast, size.crowd, times),
            What::ThreadsCast(cast) | What::Nagle(cast) => self.cast(cast, cast.members, times),
            What::SmallRooms => {
                let crowd = assembled(&mut self.crowd, &mut self.net, &self.server, size.crowd)?;
                crowd.small_rooms(&mut self.net, process, times)
            }
            What::Restless => {
                let crowd = assembled(&mut self.crowd, &mut self.net, &self.server, size.crowd)?;
                crowd.restless(&mut self.net, process, 1000, times)
            }
            What::Memory(_) | What::Saturation => Err(io::Error::other("runs with its group only")),
        }
    }

    fn exchange(&mut self, of: Exchange, times: Times) -> io::Result<Sample> {
        let way = if self.kind == Kind::BareTcp {
            Way::Tcp
        } else {
            Way::WebSocket
        };
        let clients: Vec<Client> = connect(&mut self.net, self.server.address, way, of.clients)?;
        let request = request(of.payload, self.kind, of.window)?;
        let sample = exchange(
            &mut self.net,
            self.server.process,
            &clients,
            &request,
            of.window,
            times,
        );
        self.net.close_all();
        sample
    }

    fn cast(&mut self, cast: Cast, clients: usize, times: Times) -> io::Result<Sample> {
        let crowd = assembled(&mut self.crowd, &mut self.net, &self.server, clients)?;
        crowd.cast(&mut self.net, self.server.process, cast, times)
    }

    fn memory(
        &mut self,
        clients: usize,
        scenarios: &[&Scenario],
        report: &mut impl FnMut(&Scenario, io::Result<Sample>),
    ) -> io::Result<()> {
        self.net.set_limit(LIMIT);
        let echo = request(Payload::Echo(16 * 1024), self.kind, 1)?;
        let memory = memory(
            &mut self.net,
            self.server.address,
            self.server.process,
            clients,
            &echo,
        )?;
        for scenario in scenarios {
            let sample = match scenario.what {
                What::Memory(Moment::Fresh) => &memory.fresh,
                What::Memory(Moment::Used) => &memory.used,
                What::Memory(Moment::Left) => &memory.left,
                _ => &memory.second,
            };
            report(scenario, Ok(sample.clone()));
        }
        Ok(())
    }
}

/// Ten thousand clients are connected once for all that needs them.
fn assembled<'c>(
    crowd: &'c mut Option<Crowd>,
    net: &mut Net,
    server: &Server,
    clients: usize,
) -> io::Result<&'c Crowd> {
    let ready = match crowd.take() {
        Some(crowd) => crowd,
        None => Crowd::assemble(net, server.address, clients)?,
    };
    Ok(crowd.insert(ready))
}

fn request(payload: Payload, kind: Kind, window: usize) -> io::Result<Request> {
    let text = match payload {
        Payload::Binary(bytes) => return Ok(Request::binary("binary", bytes, window)),
        Payload::Echo(bytes) => event(&("echo", "x".repeat(bytes)))?,
        Payload::Ack(bytes) => event_with_ack(&("ack", "x".repeat(bytes)))?,
        Payload::Json => event(&("json", Report::sample()))?,
    };
    if kind == Kind::BareTcp {
        Ok(Request::unmasked(&text, window))
    } else {
        Ok(Request::text(&text, window))
    }
}
