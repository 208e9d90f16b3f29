//! A benchmark of two threads that join, leave and broadcast in separate rooms: it shows how much each slows the other
//! down.
//!
//! Each thread has its own runtime and clients; they share the server and its namespace. Packets that are queued for
//! the clients are read between the measurements. A second measurement with a server for each thread shows the
//! influence of the machine: the processor's clock and caches, the allocator.
//!
//! The last columns are for a namespace with ordered broadcasts.
//!
//! A round in which a thread had to leave its processor to another process does not count, because the two threads did
//! not work at the same time. Waiting for a lock does not have this effect.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum_socketio::{Namespace, SocketIo};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;

use crate::server::{Client, builder, runtime, shout};

/// The number of rooms of each thread. A processor's cache holds the members of so few rooms.
const ROOMS: usize = 8;
const MEMBERS: usize = 10;
/// The number of measured passes over the rooms, and the number of passes before and after them, in which a thread
/// works only to load the other.
const PASSES: usize = 48;
const MARGIN: usize = 8;
/// The number of servers that are measured in succession. Each has other keys for its hash tables, and so other rooms
/// that share a lock.
const SERVERS: usize = 8;
/// The number of undisturbed measurements of each kind with each server, and the factor by which more may be made to
/// find them.
const ROUNDS: usize = 100;
const TRIES: usize = 20;

#[derive(Clone, Copy)]
enum Work {
    JoinAndLeave,
    BroadcastToOne,
    Broadcast,
    All,
}

const WORKS: [Work; 4] = [
    Work::JoinAndLeave,
    Work::BroadcastToOne,
    Work::Broadcast,
    Work::All,
];

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Self::JoinAndLeave => "join, leave",
            Self::BroadcastToOne => "broadcast to 1",
            Self::Broadcast => "broadcast to 10",
            Self::All => "join, broadcast to 11, leave",
        }
    }

    /// Returns the number of operations for each room.
    const fn operations(self) -> usize {
        match self {
            Self::JoinAndLeave => 2,
            Self::BroadcastToOne | Self::Broadcast => 1,
            Self::All => 3,
        }
    }
}

/// The cost of an operation in the first thread.
struct Cost {
    /// The duration in nanoseconds while the other thread is idle.
    alone: f64,
    /// The ratio of the duration while the other thread works to the one while it is idle.
    ratio: f64,
}

/// The durations of the first thread in one round.
struct Round {
    alone: Duration,
    both: Duration,
}

/// Runs the benchmark, unless criterion was asked for another one, or only for a list.
pub(crate) fn run() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let has = |option: &str| args.iter().any(|arg| arg == option);
    let mut filters = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
    let wanted =
        filters.peek().is_none() || filters.any(|filter| "threads".contains(filter.as_str()));
    if !wanted || !has("--bench") || has("--list") {
        return;
    }
    let rounds = if has("--quick") { ROUNDS / 10 } else { ROUNDS };
    let shared = measure(rounds, || {
        let io = builder().build();
        [io.clone(), io]
    });
    let apart = measure(rounds, || [builder().build(), builder().build()]);
    let ordered = measure(rounds, || {
        let io = builder()
            .namespace("/", Namespace::new().ordered_broadcasts())
            .build();
        [io.clone(), io]
    });
    println!(
        "\nthreads: ns for each operation; at most 1.3 times that of one thread alone is wanted"
    );
    println!(
        "{:<30} {:>8} {:>8}   {:>22}   {:>8} {:>8}",
        "", "alone", "ratio", "with a server for each", "ordered", "ratio"
    );
    for (((work, shared), apart), ordered) in WORKS.into_iter().zip(shared).zip(apart).zip(ordered)
    {
        println!(
            "{:<30} {:>8.1} {:>8.2}   {:>22.2}   {:>8.1} {:>8.2}",
            work.name(),
            shared.alone,
            shared.ratio,
            apart.ratio,
            ordered.alone,
            ordered.ratio
        );
    }
}

/// Measures the cost of each kind of work, with a server for each of the two threads, which may be the same.
fn measure(rounds: usize, servers: impl Fn() -> [SocketIo; 2]) -> Vec<Cost> {
    let mut rounds_of: Vec<_> = WORKS.iter().map(|_| Vec::new()).collect();
    for _ in 0..SERVERS {
        for (all, new) in rounds_of.iter_mut().zip(two_threads(&servers(), rounds)) {
            all.extend(new);
        }
    }
    let costs = WORKS.into_iter().zip(rounds_of).map(|(work, rounds)| Cost {
        alone: median(rounds.iter().map(|round| round.alone.as_nanos() as f64))
            / (work.operations() * ROOMS * PASSES) as f64,
        // Both durations are of one round: the clock of a processor may change between rounds.
        ratio: median(rounds.iter().map(Round::ratio)),
    });
    costs.collect()
}

impl Round {
    fn ratio(&self) -> f64 {
        self.both.as_secs_f64() / self.alone.as_secs_f64()
    }
}

/// Returns the undisturbed rounds of the first thread, for each kind of work.
fn two_threads(servers: &[SocketIo; 2], rounds: usize) -> Vec<Vec<Round>> {
    let meeting = Meeting::default();
    let [one, two] = servers;
    thread::scope(|scope| {
        scope.spawn(|| runtime().block_on(party(two, 2, &meeting, rounds)));
        let first = scope.spawn(|| runtime().block_on(party(one, 1, &meeting, rounds)));
        first.join().unwrap()
    })
}

async fn party(io: &SocketIo, number: usize, meeting: &Meeting, rounds: usize) -> Vec<Vec<Round>> {
    pin(number);
    let mut party = Party::new(io, number).await;
    let mut all = Vec::new();
    for work in WORKS {
        let mut undisturbed = Vec::new();
        for _ in 0..rounds * TRIES {
            meeting.wait();
            let mut alone = Duration::ZERO;
            if number == 1 {
                meeting.disturbed.store(false, Ordering::Relaxed);
                alone = party.measure(work, meeting);
                party.drain(work).await;
            }
            meeting.wait();
            let both = party.measure(work, meeting);
            meeting.wait();
            if !meeting.disturbed.load(Ordering::Relaxed) {
                undisturbed.push(Round { alone, both });
            }
            party.drain(work).await;
            if undisturbed.len() == rounds {
                break;
            }
        }
        all.push(undisturbed);
    }
    all
}

/// A barrier for the two threads. A thread sleeps while it waits, so that it takes no time from the other, and then
/// spins briefly, so that both continue in the same microsecond.
struct Meeting {
    barrier: Barrier,
    awake: AtomicUsize,
    /// True if one of them was interrupted in this round.
    disturbed: AtomicBool,
}

impl Default for Meeting {
    fn default() -> Self {
        Self {
            barrier: Barrier::new(2),
            awake: AtomicUsize::new(0),
            disturbed: AtomicBool::new(false),
        }
    }
}

impl Meeting {
    fn wait(&self) {
        self.barrier.wait();
        let number = self.awake.fetch_add(1, Ordering::AcqRel);
        let all = number / 2 * 2 + 2;
        while self.awake.load(Ordering::Acquire) < all {
            std::hint::spin_loop();
        }
    }
}

/// The rooms of a thread, and one client that joins and leaves.
struct Party<'io> {
    io: &'io SocketIo,
    rooms: Vec<Room>,
    guest: Client,
}

struct Room {
    name: String,
    /// A room with the first member alone.
    first: String,
    members: Vec<Client>,
}

impl<'io> Party<'io> {
    async fn new(io: &'io SocketIo, number: usize) -> Self {
        let guest = Client::connect(io).await;
        let mut rooms = Vec::new();
        for room in 0..ROOMS {
            let name = format!("room {room} of thread {number}");
            let first = format!("first of room {room} of thread {number}");
            let mut members = Vec::new();
            for _ in 0..MEMBERS {
                let member = Client::connect(io).await;
                member.socket.join(&name);
                members.push(member);
            }
            members[0].socket.join(&first);
            rooms.push(Room {
                name,
                first,
                members,
            });
        }
        Self { io, rooms, guest }
    }

    /// Returns the duration of the work, which is surrounded by more of the same work.
    fn measure(&self, work: Work, meeting: &Meeting) -> Duration {
        let before = interruptions();
        self.work(work, MARGIN);
        let start = Instant::now();
        self.work(work, PASSES);
        let took = start.elapsed();
        self.work(work, MARGIN);
        if interruptions() != before {
            meeting.disturbed.store(true, Ordering::Relaxed);
        }
        took
    }

    fn work(&self, work: Work, passes: usize) {
        for _ in 0..passes {
            for room in &self.rooms {
                match work {
                    Work::JoinAndLeave => {
                        self.guest.socket.join(&room.name);
                        self.guest.socket.leave(&room.name);
                    }
                    Work::BroadcastToOne => shout(self.io, &room.first),
                    Work::Broadcast => shout(self.io, &room.name),
                    Work::All => {
                        self.guest.socket.join(&room.name);
                        shout(self.io, &room.name);
                        self.guest.socket.leave(&room.name);
                    }
                }
            }
        }
    }

    /// Lets the clients read the packets that [`measure`](Self::measure) has queued for them.
    async fn drain(&mut self, work: Work) {
        const FRAMES: usize = MARGIN + PASSES + MARGIN;

        let hearing = match work {
            Work::JoinAndLeave => 0,
            Work::BroadcastToOne => 1,
            Work::Broadcast | Work::All => MEMBERS,
        };
        for room in &mut self.rooms {
            for member in &mut room.members[..hearing] {
                member.drain(FRAMES).await;
            }
        }
        if let Work::All = work {
            self.guest.drain(FRAMES * ROOMS).await;
        }
    }
}

/// Pins this thread to its own processor: a thread that migrates has to load its memory again.
fn pin(number: usize) {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).unwrap();
    let mut processors = (0..CpuSet::count()).filter(|&at| allowed.is_set(at).unwrap());
    if let Some(at) = processors.nth(number - 1) {
        let mut one = CpuSet::new();
        one.set(at).unwrap();
        sched_setaffinity(this, &one).unwrap();
    }
}

/// Returns the number of times that this thread had to leave its processor to another.
fn interruptions() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD)
        .unwrap()
        .involuntary_context_switches()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
