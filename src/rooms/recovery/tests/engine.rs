//! A store in the memory of the test, which answers later.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::rooms::recovery::{Arrival, Feed, Position, SavedSession, Store, StoreReply, Stores};
use crate::sync::Lock;
use proto::Sid;
use proto::cluster::StoredEvent;

/// The time that the engine needs for each answer.
pub(super) const DELAY: Duration = Duration::from_millis(300);

/// The number of events in a page.
const PAGE: usize = 2;

/// An engine in the memory of the test, which several servers may use. It answers in virtual time.
#[derive(Clone, Debug, Default)]
pub(super) struct Engine(pub(super) Arc<Lock<EngineState>>);

#[derive(Default)]
pub(super) struct EngineState {
    pub(super) sessions: HashMap<Sid, (SavedSession, Instant)>,
    /// The number of claims that have arrived.
    claims: usize,
    condition: Condition,
    feeds: Vec<Weak<dyn Feed>>,
    /// The events that have no position yet.
    queue: Vec<Queued>,
    log: Vec<(Position, StoredEvent<'static>)>,
    /// True while a task gives out positions.
    running: bool,
    last: u128,
    /// The last position whose event is not stored any more.
    pub(super) trimmed: Position,
    /// The number of pages that were read.
    pub(super) reads: usize,
}

/// An event of a server, with its token.
struct Queued {
    server: usize,
    token: u64,
    event: StoredEvent<'static>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Condition {
    #[default]
    Works,
    /// Claims and appends fail, and commands are lost.
    Down,
    /// Nothing is answered.
    Silent,
}

impl Engine {
    pub(super) fn set(&self, condition: Condition) {
        self.0.lock().condition = condition;
    }

    pub(super) fn sessions(&self) -> usize {
        self.0.lock().sessions.len()
    }

    pub(super) fn claims(&self) -> usize {
        self.0.lock().claims
    }

    /// Gives positions to the queued events, and reports them to all servers in that order.
    async fn run(self) {
        loop {
            sleep(DELAY).await;
            let mut state = self.0.lock();
            if state.condition == Condition::Silent {
                continue;
            }
            let queue = std::mem::take(&mut state.queue);
            if queue.is_empty() {
                state.running = false;
                return;
            }
            let feeds = state.feeds.clone();
            let before = state.last;
            state.last += 3 * queue.len() as u128;
            let positions = (1..).map(|n| Position(before + 3 * n));
            let events = queue.iter().map(|queued| queued.event.clone());
            state.log.extend(positions.zip(events));
            drop(state);
            for (position, queued) in (1..).map(|n| Position(before + 3 * n)).zip(queue) {
                for (server, feed) in feeds.iter().enumerate() {
                    let own = server == queued.server;
                    if let Some(feed) = feed.upgrade().filter(|_| own || !queued.event.local) {
                        feed.arrived(
                            position,
                            match own {
                                true => Arrival::Own(queued.token),
                                false => Arrival::Foreign(queued.event.clone()),
                            },
                        );
                    }
                }
            }
        }
    }
}

impl Stores for Engine {
    fn open(&self, _: &Arc<str>) -> Option<Arc<dyn Store>> {
        let server = Lock::new(None);
        let engine = self.clone();
        Some(Arc::new(EngineStore { engine, server }))
    }
}

/// The store of one server.
#[derive(Debug)]
struct EngineStore {
    engine: Engine,
    /// The number of the server.
    server: Lock<Option<usize>>,
}

impl EngineStore {
    fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut EngineState) -> T + Send + 'static,
    ) -> StoreReply<T> {
        let engine = self.engine.clone();
        Box::pin(async move {
            sleep(DELAY).await;
            let condition = engine.0.lock().condition;
            match condition {
                Condition::Works => {}
                Condition::Down => return Err("connection lost".into()),
                Condition::Silent => pending().await,
            }
            Ok(answer(&mut engine.0.lock()))
        })
    }
}

fn is_fresh((_, until): &(SavedSession, Instant)) -> bool {
    *until > Instant::now()
}

impl Store for EngineStore {
    fn start(&self, feed: Weak<dyn Feed>) {
        let mut state = self.engine.0.lock();
        *self.server.lock() = Some(state.feeds.len());
        state.feeds.push(Weak::clone(&feed));
        let last = Position(state.last);
        drop(state);
        feed.upgrade().unwrap().begins(last);
    }

    fn append(&self, token: u64, event: &StoredEvent<'_>) -> bool {
        let mut state = self.engine.0.lock();
        if state.condition == Condition::Down {
            return false;
        }
        let (server, event) = (self.server.lock().unwrap(), event.clone().into_owned());
        state.queue.push(Queued {
            server,
            token,
            event,
        });
        if !std::mem::replace(&mut state.running, true) {
            tokio::spawn(self.engine.clone().run());
        }
        true
    }

    fn offset(&self, position: Position) -> String {
        format!("{}-0", position.0)
    }

    fn parse(&self, offset: &str) -> Option<Position> {
        Some(Position(offset.strip_suffix("-0")?.parse().ok()?))
    }

    fn look(&self, pid: Sid) -> StoreReply<Option<SavedSession>> {
        self.answer(move |state| {
            let found = state.sessions.get(&pid).cloned();
            found.filter(is_fresh).map(|(session, _)| session)
        })
    }

    fn replay(&self, after: Position) -> StoreReply<Option<Vec<(Position, StoredEvent<'static>)>>> {
        self.answer(move |state| {
            state.reads += 1;
            let is_missed = |entry: &&(Position, StoredEvent<'static>)| entry.0 > after;
            let page = state.log.iter().filter(is_missed).take(PAGE);
            (after >= state.trimmed).then(|| page.cloned().collect())
        })
    }

    fn claim(&self, pid: Sid) -> StoreReply<Option<SavedSession>> {
        self.engine.0.lock().claims += 1;
        let server = self.server.lock().unwrap();
        self.answer(move |state| {
            let found = state.sessions.remove(&pid).filter(is_fresh);
            let others = state.feeds.iter().enumerate();
            let others = others.filter(|(other, _)| found.is_some() && *other != server);
            for feed in others.filter_map(|(_, feed)| feed.upgrade()) {
                tokio::spawn(async move { feed.claimed(pid) });
            }
            found.map(|(session, _)| session)
        })
    }

    fn save(&self, pid: Sid, session: SavedSession, keep: Duration) {
        let mut state = self.engine.0.lock();
        if state.condition != Condition::Down {
            state.sessions.insert(pid, (session, Instant::now() + keep));
        }
    }

    fn discard(&self, pid: Sid) {
        self.engine.0.lock().sessions.remove(&pid);
    }
}

impl fmt::Debug for EngineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineState").finish_non_exhaustive()
    }
}
