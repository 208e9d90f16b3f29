//! The scenarios, and the servers that take part in each of them.

use crate::connect::Way;
use crate::scenario::{Attack, Cast, Hostile};
use crate::server::{Kind, Setup};

/// The number of clients of each server when all servers' broadcasts are measured in turns.
pub const SHARED_CROWD: usize = 1000;

/// A scenario, which is a row of the tables.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name in the results and on the command line.
    pub id: String,
    pub title: String,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    Handshake(Way),
    Exchange(Exchange),
    Cast(Cast),
    SmallRooms,
    Restless,
    Memory(Moment),
    Polling,
    /// A burst of this number of events to clients that poll.
    PollBursts(usize),
    /// An exchange with this number of worker threads. Two of them share two processors with the generator.
    ThreadsExchange(usize, Exchange),
    ThreadsCast(usize, Cast),
    /// A broadcast with Nagle's algorithm, which is on by default.
    Nagle(Cast),
    Saturation,
    Hostile(Hostile),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub payload: Payload,
    pub window: usize,
    pub clients: usize,
}

/// The payload of a request, with its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    Echo(usize),
    Ack(usize),
    Binary(usize),
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Fresh,
    Used,
    Left,
    Second,
}

/// Scenarios that share a server, which is restarted for each group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Handshakes,
    Exchanges,
    /// Broadcasts to a number of members that all servers can have at once.
    Casts,
    Crowd,
    Memory,
    Polling,
    Threads,
    Nagle,
    Saturation,
    Hostile,
}

impl Group {
    pub const ALL: [Self; 10] = [
        Self::Handshakes,
        Self::Exchanges,
        Self::Polling,
        Self::Casts,
        Self::Crowd,
        Self::Memory,
        Self::Threads,
        Self::Nagle,
        Self::Saturation,
        Self::Hostile,
    ];

    /// Returns true if each server is measured separately, and not in turns with the others, because it has ten
    /// thousand clients.
    pub const fn is_apart(self) -> bool {
        matches!(self, Self::Crowd | Self::Memory)
    }
}

impl What {
    pub const fn group(self) -> Group {
        match self {
            Self::Handshake(_) => Group::Handshakes,
            Self::Exchange(_) => Group::Exchanges,
            Self::Cast(cast) if cast.members <= SHARED_CROWD => Group::Casts,
            Self::Cast(_) | Self::SmallRooms | Self::Restless => Group::Crowd,
            Self::Memory(_) => Group::Memory,
            Self::Polling | Self::PollBursts(_) => Group::Polling,
            Self::ThreadsExchange(..) | Self::ThreadsCast(..) => Group::Threads,
            Self::Nagle(_) => Group::Nagle,
            Self::Saturation => Group::Saturation,
            Self::Hostile(_) => Group::Hostile,
        }
    }

    /// Returns the unit of the number in the tables.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Handshake(_) => "µs per handshake",
            Self::Exchange(_) | Self::Polling | Self::ThreadsExchange(..) => "µs per message",
            Self::Cast(_)
            | Self::PollBursts(_)
            | Self::SmallRooms
            | Self::Restless
            | Self::ThreadsCast(..)
            | Self::Nagle(_) => "µs per delivery",
            Self::Memory(_) => "KiB per connection",
            Self::Saturation | Self::Hostile(_) => "µs, 99th percentile",
        }
    }

    /// Returns true if both differ only in the server's setup.
    pub fn is_same_work(self, other: Self) -> bool {
        match (self, other) {
            (Self::ThreadsExchange(_, one), Self::ThreadsExchange(_, other)) => one == other,
            (Self::ThreadsCast(_, one), Self::ThreadsCast(_, other)) => one == other,
            _ => self == other,
        }
    }

    /// Returns the setup of the server.
    pub const fn setup(self) -> Setup {
        match self {
            Self::ThreadsExchange(workers, _) | Self::ThreadsCast(workers, _) => Setup {
                workers,
                ..Setup::PLAIN
            },
            Self::Hostile(Hostile { workers, .. }) => Setup {
                workers,
                ..Setup::PLAIN
            },
            Self::Nagle(_) => Setup {
                nagle: true,
                ..Setup::PLAIN
            },
            _ => Setup::PLAIN,
        }
    }

    /// Returns true if this server supports the scenario, and the result is meaningful.
    pub const fn fits(self, kind: Kind) -> bool {
        if kind.is_whole() {
            let rust = matches!(kind, Kind::Ours | Kind::Socketioxide);
            return match self {
                // The buffer of socketioxide holds 128 packets and drops the others.
                Self::PollBursts(burst) => burst <= 128 || !matches!(kind, Kind::Socketioxide),
                // Node has one thread, whatever the option.
                Self::Hostile(hostile) => {
                    rust || hostile.workers == 0 && matches!(kind, Kind::Node)
                }
                _ => rust || !matches!(self.group(), Group::Threads | Group::Nagle),
            };
        }
        match self {
            Self::Handshake(way) => {
                matches!(way, Way::WebSocket) && matches!(kind, Kind::BareQueue | Kind::BareAxum)
            }
            Self::Exchange(exchange) => match (kind, exchange.payload) {
                (Kind::BareQueue, _) => !matches!(exchange.payload, Payload::Json),
                (Kind::BareTcp, Payload::Echo(_)) => true,
                _ => false,
            },
            Self::Cast(_) | Self::SmallRooms => matches!(kind, Kind::BareQueue | Kind::BareDirect),
            Self::Memory(_) => matches!(kind, Kind::BareQueue | Kind::BareAxum),
            Self::Polling => matches!(kind, Kind::BareHyper),
            Self::PollBursts(_)
            | Self::Restless
            | Self::ThreadsExchange(..)
            | Self::ThreadsCast(..)
            | Self::Nagle(_)
            | Self::Saturation
            | Self::Hostile(_) => false,
        }
    }
}

/// The number of clients in a full run, and in a quick one.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub crowd: usize,
    pub handshakes: usize,
}

impl Size {
    pub const FULL: Self = Self {
        crowd: 10_000,
        handshakes: 2000,
    };
    pub const QUICK: Self = Self {
        crowd: 1020,
        handshakes: 500,
    };
}

pub fn scenarios(size: Size) -> Vec<Scenario> {
    let mut all = vec![
        row(
            "handshake-websocket",
            "handshake, WebSocket at once",
            What::Handshake(Way::WebSocket),
        ),
        row(
            "handshake-upgrade",
            "handshake, polling then upgrade",
            What::Handshake(Way::Upgrade),
        ),
    ];
    for (id, title, exchange) in exchanges() {
        all.push(row(id, title, What::Exchange(exchange)));
    }
    all.push(row(
        "polling-echo",
        "echo of 32 B by long-polling",
        What::Polling,
    ));
    all.push(row(
        "polling-bursts",
        "bursts of 1,000 events of 32 B to 10 by long-polling",
        What::PollBursts(1000),
    ));
    all.extend(casts(size));
    all.push(row(
        "rooms-of-10",
        "broadcast of 128 B to as many rooms of 10",
        What::SmallRooms,
    ));
    all.push(row(
        "restless",
        "broadcast of 128 B to 1,000 while 10 join or leave",
        What::Restless,
    ));
    for (id, title, moment) in [
        ("memory-fresh", "memory, just connected", Moment::Fresh),
        (
            "memory-used",
            "memory, after an echo of 16 KiB",
            Moment::Used,
        ),
        (
            "memory-left",
            "memory left behind when all have gone",
            Moment::Left,
        ),
        ("memory-second", "memory, second wave", Moment::Second),
    ] {
        all.push(row(id, title, What::Memory(moment)));
    }
    let cast = Cast {
        members: 1000,
        burst: 1,
        bytes: 128,
    };
    let threads = [(1, "one thread"), (2, "two threads")];
    for (id, title, exchange) in exchanges()
        .into_iter()
        .filter(|(id, ..)| matches!(*id, "echo-1" | "echo-16"))
    {
        all.extend(threads.map(|(workers, threads)| {
            let (id, title) = (
                format!("{id}-threads-{workers}"),
                format!("{title}, {threads}"),
            );
            row(&id, &title, What::ThreadsExchange(workers, exchange))
        }));
    }
    all.extend(threads.map(|(workers, threads)| {
        let id = format!("cast-128-1000-x1-threads-{workers}");
        let title = format!("broadcast of 128 B to 1,000, {threads}");
        row(&id, &title, What::ThreadsCast(workers, cast))
    }));
    all.push(row(
        "cast-128-1000-x10-nagle",
        "broadcast of 128 B to 1,000, bursts of ten, Nagle's algorithm on",
        What::Nagle(Cast { burst: 10, ..cast }),
    ));
    all.push(row(
        "saturation",
        "echo at the load that saturates socketioxide",
        What::Saturation,
    ));
    all.extend(neighbours());
    all
}

fn neighbours() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (workers, threads) in [(0, "current-thread runtime"), (2, "two workers")] {
        for (attack, id, what) in [
            (Attack::None, "nobody", "nobody"),
            (Attack::Pings, "pings", "pings"),
            (Attack::Pongs, "pongs", "pongs"),
            (
                Attack::Continuations,
                "continuations",
                "empty continuation frames",
            ),
            (Attack::Noops, "noops", "noop packets"),
            (Attack::Events, "events", "small events"),
            (Attack::NoopBodies, "bodies", "bodies of noop packets"),
        ] {
            for (way, to) in [(Way::WebSocket, "websocket"), (Way::Polling, "polling")] {
                let id = format!("hostile-{id}-{to}-{workers}");
                let over = if to == "polling" {
                    "polling"
                } else {
                    "WebSocket"
                };
                let title = format!("echo over {over} beside {what}, {threads}");
                let hostile = Hostile {
                    attack,
                    way,
                    workers,
                };
                all.push(row(&id, &title, What::Hostile(hostile)));
            }
        }
    }
    all
}

fn row(id: &str, title: &str, what: What) -> Scenario {
    Scenario {
        id: id.to_owned(),
        title: title.to_owned(),
        what,
    }
}

fn exchanges() -> [(&'static str, &'static str, Exchange); 8] {
    let exchange = |payload, window, clients| Exchange {
        payload,
        window,
        clients,
    };
    [
        (
            "echo-1",
            "echo of 32 B, 1 in flight",
            exchange(Payload::Echo(32), 1, 100),
        ),
        (
            "echo-8",
            "echo of 32 B, 8 in flight",
            exchange(Payload::Echo(32), 8, 100),
        ),
        (
            "echo-16",
            "echo of 32 B, 16 in flight",
            exchange(Payload::Echo(32), 16, 100),
        ),
        (
            "ack-1",
            "acknowledgement of 32 B, 1 in flight",
            exchange(Payload::Ack(32), 1, 100),
        ),
        (
            "echo-16k",
            "echo of 16 KiB",
            exchange(Payload::Echo(16 * 1024), 1, 100),
        ),
        (
            "binary-1k",
            "binary of 1 KiB",
            exchange(Payload::Binary(1024), 1, 100),
        ),
        // The number of requests is smaller, so that the data in flight stays in the processor's cache on both sides.
        (
            "binary-64k",
            "binary of 64 KiB",
            exchange(Payload::Binary(64 * 1024), 1, 16),
        ),
        (
            "json-64k",
            "JSON of 64 KiB, typed",
            exchange(Payload::Json, 1, 16),
        ),
    ]
}

fn casts(size: Size) -> Vec<Scenario> {
    let mut casts = Vec::new();
    for (bytes, name) in [(128, "128 B"), (16 * 1024, "16 KiB")] {
        for members in [1, 100, 1000, 10_000]
            .into_iter()
            .filter(|&members| members <= size.crowd)
        {
            for burst in [1, 10] {
                let id = format!("cast-{bytes}-{members}-x{burst}").replace("16384", "16k");
                let how = if burst == 1 { "" } else { ", bursts of ten" };
                let members_named = if members == 10_000 {
                    "10,000".to_owned()
                } else {
                    members.to_string().replace("1000", "1,000")
                };
                let title = format!("broadcast of {name} to {members_named}{how}");
                casts.push(row(
                    &id,
                    &title,
                    What::Cast(Cast {
                        members,
                        burst,
                        bytes,
                    }),
                ));
            }
        }
    }
    casts
}
