//! The runner of a group of scenarios: the servers take turns at each of them.

use std::io;
use std::time::Duration;

use axum_socketio_benches::contract::Report;

use crate::check::check;
use crate::connect::{Client, Way, connect};
use crate::measure::{Cpus, Sample};
use crate::net::{Net, Request, event, event_with_ack};
use crate::plan::{Exchange, Group, Moment, Payload, SHARED_CROWD, Scenario, Size, What};
use crate::scenario::{
    Crowd, Times, bursts, exchange, handshakes, hostile, memory, paced, polling,
};
use crate::server::{Kind, Programs, Server, Setup};

/// The limit for a scenario, including its connections.
const LIMIT: Duration = Duration::from_secs(60);

/// The load before any measurement, for servers with a just-in-time compiler.
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
    /// The number of turns of each server in a round.
    pub turns: usize,
    /// The number of requests per second that saturates socketioxide, once it has been found.
    pub saturating: Option<f64>,
}

impl Runner {
    /// Checks that a server implements the contract. Those that do not implement Socket.IO are exempt.
    pub fn check(&self, kind: Kind) -> io::Result<()> {
        if matches!(kind, Kind::BareTcp | Kind::BareHyper) {
            return Ok(());
        }
        let server = Server::start(&self.programs, kind, Setup::PLAIN, self.cpus)?;
        let outcome = check(server.address, kind.is_whole());
        outcome.map_err(|error| io::Error::other(format!("{}: {error}", kind.name())))
    }

    /// Runs scenarios of one group against those servers that they fit. `report` receives each result immediately.
    pub fn run(
        &mut self,
        kinds: &[Kind],
        scenarios: &[&Scenario],
        report: &mut impl FnMut(&Scenario, Kind, io::Result<Sample>),
    ) -> io::Result<()> {
        let Some(group) = scenarios.first().map(|scenario| scenario.what.group()) else {
            return Ok(());
        };
        if group == Group::Saturation {
            let rate = self.saturating()?;
            for scenario in scenarios {
                for _ in 0..self.turns {
                    for &kind in kinds.iter().filter(|&&kind| scenario.what.fits(kind)) {
                        report(scenario, kind, self.at_rate(kind, rate));
                    }
                }
            }
            return Ok(());
        }
        if group.is_apart() {
            return kinds
                .iter()
                .try_for_each(|&kind| self.alone(kind, scenarios, report));
        }
        let mut all = Vec::new();
        for scenario in scenarios {
            for &kind in kinds.iter().filter(|&&kind| scenario.what.fits(kind)) {
                let setup = scenario.what.setup();
                if !all.iter().any(|one: &Running| one.is(kind, setup)) {
                    all.push(self.start(kind, setup, SHARED_CROWD)?);
                }
            }
        }
        for scenarios in scenarios.chunk_by(|a, b| a.what.is_same_work(b.what)) {
            for _ in 0..self.turns {
                for one in &mut all {
                    let fitting = scenarios.iter().find(|scenario| {
                        scenario.what.fits(one.kind) && scenario.what.setup() == one.setup
                    });
                    if let Some(scenario) = fitting {
                        self.measure(one, scenario, report)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Measures a server separately from the others, because no two of them can have so many clients at once.
    fn alone(
        &self,
        kind: Kind,
        scenarios: &[&Scenario],
        report: &mut impl FnMut(&Scenario, Kind, io::Result<Sample>),
    ) -> io::Result<()> {
        let scenarios: Vec<_> = scenarios
            .iter()
            .copied()
            .filter(|scenario| scenario.what.fits(kind))
            .collect();
        let Some(first) = scenarios.first() else {
            return Ok(());
        };
        let mut running = self.start(kind, first.what.setup(), self.size.crowd)?;
        if first.what.group() == Group::Memory {
            return running.memory(&scenarios, report);
        }
        scenarios
            .iter()
            .try_for_each(|scenario| self.measure(&mut running, scenario, report))
    }

    fn start(&self, kind: Kind, setup: Setup, clients: usize) -> io::Result<Running> {
        let mut running = Running {
            net: Net::new()?,
            server: Server::start(&self.programs, kind, setup, self.cpus)?,
            kind,
            setup,
            clients: clients.min(self.size.crowd),
            crowd: None,
        };
        // A server with ten thousand clients is measured for its memory, or has been loaded enough by their handshakes.
        if kind.compiles_late() && clients == SHARED_CROWD {
            running.net.set_limit(LIMIT);
            running.exchange(WARMING, self.times.for_server(kind))?;
        }
        Ok(running)
    }

    fn measure(
        &self,
        running: &mut Running,
        scenario: &Scenario,
        report: &mut impl FnMut(&Scenario, Kind, io::Result<Sample>),
    ) -> io::Result<()> {
        let kind = running.kind;
        running.net.set_limit(LIMIT);
        let sample = running.scenario(scenario.what, self.times.for_server(kind), self.size);
        let failed = sample.is_err();
        report(scenario, kind, sample);
        if failed {
            // Packets may still be in flight, so the server is restarted.
            *running = self.start(kind, running.setup, running.clients)?;
        }
        Ok(())
    }

    /// Raises the load until socketioxide is saturated, and returns it.
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
    setup: Setup,
    /// The number of clients in a crowd.
    clients: usize,
    crowd: Option<Crowd>,
}

impl Running {
    fn is(&self, kind: Kind, setup: Setup) -> bool {
        self.kind == kind && self.setup == setup
    }

    fn scenario(&mut self, what: What, times: Times, size: Size) -> io::Result<Sample> {
        let (address, process) = (self.server.address, self.server.process);
        match what {
            What::Handshake(way) => {
                handshakes(&mut self.net, address, process, way, size.handshakes)
            }
            What::Exchange(of) | What::ThreadsExchange(_, of) => self.exchange(of, times),
            What::Polling => {
                let message = event(&("echo", "x".repeat(32)))?;
                polling(&mut self.net, address, process, 100, &message, times)
            }
            What::PollBursts(burst) => bursts(&mut self.net, address, process, 10, burst, times),
            What::Cast(cast) | What::ThreadsCast(_, cast) | What::Nagle(cast) => {
                let (crowd, net) = self.crowd()?;
                crowd.cast(net, process, cast, times)
            }
            What::SmallRooms => {
                let (crowd, net) = self.crowd()?;
                crowd.small_rooms(net, process, times)
            }
            What::Restless => {
                let (crowd, net) = self.crowd()?;
                crowd.restless(net, process, 1000, times)
            }
            What::Hostile(of) => hostile(address, process, of, LIMIT, times),
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

    /// Returns the clients of broadcasts, which are connected once for all scenarios that need them.
    fn crowd(&mut self) -> io::Result<(&Crowd, &mut Net)> {
        let ready = match self.crowd.take() {
            Some(crowd) => crowd,
            None => Crowd::assemble(&mut self.net, self.server.address, self.clients)?,
        };
        Ok((self.crowd.insert(ready), &mut self.net))
    }

    fn memory(
        &mut self,
        scenarios: &[&Scenario],
        report: &mut impl FnMut(&Scenario, Kind, io::Result<Sample>),
    ) -> io::Result<()> {
        self.net.set_limit(LIMIT);
        let echo = request(Payload::Echo(16 * 1024), self.kind, 1)?;
        let memory = memory(
            &mut self.net,
            self.server.address,
            self.server.process,
            self.clients,
            &echo,
        )?;
        for scenario in scenarios {
            let sample = match scenario.what {
                What::Memory(Moment::Fresh) => &memory.fresh,
                What::Memory(Moment::Used) => &memory.used,
                What::Memory(Moment::Left) => &memory.left,
                _ => &memory.second,
            };
            report(scenario, self.kind, Ok(sample.clone()));
        }
        Ok(())
    }
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
