//! The behaviours of recovery, with the memory of one server and with a store that answers later.

use std::collections::HashMap;
use std::fmt;
use std::future::{IntoFuture, pending};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};

use super::{
    Arrival, Feed, LoggedEvent, Position, Recovery, SavedSession, Store, StoreReply, Stores,
};
use crate::sync::Lock;
use crate::testing::{TestApp, TestClient};
use crate::{Data, Namespace, Refused, Reply, Socket, SocketIo};
use proto::Sid;

/// The time that the engine needs for each answer.
const DELAY: Duration = Duration::from_millis(300);

/// The time that a client waits for the engine.
const LIMIT: Duration = Duration::from_secs(3);

/// The number of events in a page.
const PAGE: usize = 2;

/// An engine in the memory of the test, which several servers may use. It answers in virtual time.
#[derive(Clone, Debug, Default)]
struct Engine(Arc<Lock<EngineState>>);

#[derive(Default)]
struct EngineState {
    sessions: HashMap<Sid, (SavedSession, Instant)>,
    /// The number of claims that have arrived.
    claims: usize,
    condition: Condition,
    feeds: Vec<Weak<dyn Feed>>,
    /// The events that have no position yet.
    queue: Vec<Queued>,
    log: Vec<(Position, LoggedEvent)>,
    /// True while a task gives out positions.
    running: bool,
    last: u128,
    /// The last position whose event is not stored any more.
    trimmed: Position,
    /// The number of pages that were read.
    reads: usize,
}

/// An event of a server, with its token.
struct Queued {
    server: usize,
    token: u64,
    event: LoggedEvent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Condition {
    #[default]
    Works,
    /// Claims and appends fail, and commands are lost.
    Down,
    /// Nothing is answered.
    Silent,
}

impl Engine {
    fn set(&self, condition: Condition) {
        self.0.lock().condition = condition;
    }

    fn sessions(&self) -> usize {
        self.0.lock().sessions.len()
    }

    fn claims(&self) -> usize {
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
                    if let Some(feed) = feed.upgrade().filter(|_| own || !queued.event.target.local)
                    {
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
    fn open(&self, _: &Arc<str>) -> Arc<dyn Store> {
        let server = Lock::new(None);
        let engine = self.clone();
        Arc::new(EngineStore { engine, server })
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

    fn append(&self, token: u64, event: &LoggedEvent) -> bool {
        let mut state = self.engine.0.lock();
        if state.condition == Condition::Down {
            return false;
        }
        let (server, event) = (self.server.lock().unwrap(), event.clone());
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

    fn replay(&self, after: Position) -> StoreReply<Option<Vec<(Position, LoggedEvent)>>> {
        self.answer(move |state| {
            state.reads += 1;
            let is_missed = |entry: &&(Position, LoggedEvent)| entry.0 > after;
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

fn serve(engine: Option<&Engine>, namespace: Namespace) -> (TestApp, SocketIo) {
    let recovery = Recovery::new().claim_timeout(LIMIT);
    let mut builder = SocketIo::builder().recovery(recovery);
    if let Some(engine) = engine {
        builder = builder.recovery_stores(Arc::new(engine.clone()));
    }
    let io = builder.namespace("/", namespace).build();
    (TestApp::new(io.service()), io)
}

/// Returns a server without a store, and one with an engine.
fn both(namespace: impl Fn() -> Namespace) -> [(TestApp, SocketIo); 2] {
    [None, Some(&Engine::default())].map(|engine| serve(engine, namespace()))
}

/// Returns the numbers that arrived with the event `n`, up to a marker for the end.
async fn numbers(client: &TestClient, io: &SocketIo) -> Vec<u32> {
    io.to(client.id()).emit("n", u32::MAX);
    let mut numbers = Vec::new();
    loop {
        match client.next::<u32>("n").await {
            u32::MAX => return numbers,
            number => numbers.push(number),
        }
    }
}

/// Waits until a condition holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_and_nothing_comes_twice() {
    for (app, io) in both(Namespace::new) {
        let mut client = app.connect("/").await.unwrap();
        for round in 0..3 {
            io.emit("n", round);
            assert_eq!(client.next::<u32>("n").await, round);
            client.cut().await;
            let socket = client.id();
            io.emit("n", 10 + round);
            io.to(socket).emit("n", 20 + round);
            let again = app.connect("/").coming_back_as(&client);
            let (again, ()) = tokio::join!(again.into_future(), async {
                // This is emitted while the session is claimed.
                sleep(DELAY / 2).await;
                io.emit("n", 30 + round);
            });
            client = again.unwrap();
            assert!(client.recovered());
            assert_eq!(client.id(), socket);
            let missed = [10 + round, 20 + round, 30 + round];
            assert_eq!(numbers(&client, &io).await, missed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_claimed_after_middleware_that_wait() {
    let namespace = || {
        Namespace::new().middleware(async |socket: Socket| {
            sleep(DELAY).await;
            socket.join(if socket.recovered() { "back" } else { "new" });
        })
    };
    for (app, io) in both(namespace) {
        let first = app.connect("/").await.unwrap();
        first.cut().await;
        io.to("new").emit("n", 1);
        let again = app.connect("/").coming_back_as(&first).await.unwrap();
        assert!(again.recovered());
        io.to("back").emit("n", 2);
        assert_eq!(numbers(&again, &io).await, [1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_middleware_refuse_leaves_the_session_as_it_was() {
    #[derive(serde::Deserialize)]
    struct Token {
        wrong: bool,
    }
    let namespace = || {
        Namespace::new().middleware(async |token: Option<crate::Auth<Token>>| {
            match token.is_some_and(|crate::Auth(token)| token.wrong) {
                true => Err(Refused::new("wrong token")),
                false => Ok(()),
            }
        })
    };
    for (app, io) in both(namespace) {
        let first = app.connect("/").await.unwrap();
        first.cut().await;
        io.emit("n", 1);
        let wrong = app.connect("/").coming_back_as(&first);
        let wrong = wrong.auth(serde_json::json!({ "wrong": true }));
        wrong.await.unwrap_err();
        let again = app.connect("/").coming_back_as(&first).await.unwrap();
        assert!(again.recovered());
        assert_eq!(numbers(&again, &io).await, [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_claims_at_once_one_socket_has_the_session() {
    for (app, io) in both(Namespace::new) {
        let first = app.connect("/").await.unwrap();
        let id = first.id();
        first.cut().await;
        io.emit("n", 1);
        let one = app.connect("/").coming_back_as(&first).into_future();
        let other = app.connect("/").coming_back_as(&first).into_future();
        let (one, other) = tokio::join!(one, other);
        let clients: Vec<_> = [one, other].into_iter().flatten().collect();
        let holder = io.socket(id).unwrap();
        assert!(holder.recovered() && holder.connected());
        let mut holders = 0;
        for client in clients.iter().filter(|client| client.id() == id) {
            if client.is_connected() {
                assert_eq!(numbers(client, &io).await, [1]);
                holders += 1;
            }
        }
        assert_eq!(holders, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_the_client_wait_for_the_claim() {
    let namespace = || {
        Namespace::new().on("echo", async |socket: Socket, Data(text): Data<String>| {
            Reply((socket.recovered(), text))
        })
    };
    for (app, _) in both(namespace) {
        let first = app.connect("/").await.unwrap();
        first.cut().await;
        let again = app.connect("/").coming_back_as(&first).await.unwrap();
        let answer: (bool, String) = again.emit_with_ack("echo", "hi").await;
        assert_eq!(answer, (true, "hi".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_without_an_answer_makes_a_new_socket() {
    for condition in [Condition::Down, Condition::Silent] {
        let (engine, asked) = (Engine::default(), Arc::new(Lock::new(0)));
        let counter = Arc::clone(&asked);
        let namespace = Namespace::new().middleware(async move || *counter.lock() += 1);
        let (app, io) = serve(Some(&engine), namespace);
        let first = app.connect("/").await.unwrap();
        first.cut().await;
        io.emit("n", 1);
        sleep(2 * DELAY).await;
        engine.set(condition);
        let began = Instant::now();
        let again = app.connect("/").coming_back_as(&first).await.unwrap();
        assert!(!again.recovered() && again.id() != first.id());
        assert!(began.elapsed() < LIMIT + DELAY, "{condition:?}");
        assert!(numbers(&again, &io).await.is_empty());
        // Middleware are asked about the new socket too.
        assert_eq!(*asked.lock(), 3);
        engine.set(Condition::Works);
        sleep(2 * DELAY).await;
        io.emit("n", 2);
        assert_eq!(again.next::<u32>("n").await, 2);
        again.cut().await;
        io.emit("n", 3);
        let back = app.connect("/").coming_back_as(&again).await.unwrap();
        assert!(back.recovered());
        assert_eq!(numbers(&back, &io).await, [3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_another_server_has_claimed_is_gone() {
    let engine = Engine::default();
    let (app, io) = serve(Some(&engine), Namespace::new());
    let first = app.connect("/").await.unwrap();
    assert_eq!(engine.sessions(), 1);
    engine.0.lock().sessions.clear();
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    assert!(!again.recovered() && again.id() != first.id());
    // A client that cannot resume the session does not end the socket that has it.
    assert!(io.socket(first.id()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_the_claim_may_come_again() {
    let engine = Engine::default();
    let (app, io) = serve(Some(&engine), Namespace::new());
    let first = app.connect("/").await.unwrap();
    first.cut().await;
    io.emit("n", 1);
    let attempt = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
    until(|| engine.claims() == 1).await;
    attempt.abort();
    sleep(2 * DELAY).await;
    assert_eq!(engine.sessions(), 1);
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_during_a_claim_gives_the_session_back() {
    let engine = Engine::default();
    let (app, io) = serve(Some(&engine), Namespace::new());
    let first = app.connect("/").await.unwrap();
    first.cut().await;
    let attempt = tokio::spawn(app.connect("/").coming_back_as(&first).into_future());
    until(|| engine.claims() == 1).await;
    io.close();
    assert!(attempt.await.unwrap().is_err());
    until(|| engine.sessions() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn sessions_that_will_not_resume_leave_the_store() {
    let engine = Engine::default();
    let (sender, mut sockets) = unbounded_channel();
    let namespace = Namespace::new().on_connect(async move |socket: Socket| {
        sender.send(socket).unwrap();
    });
    let (app, _) = serve(Some(&engine), namespace);
    let by_server = app.connect("/").await.unwrap();
    sockets.recv().await.unwrap().disconnect();
    by_server.disconnected().await;
    assert_eq!(engine.sessions(), 0);
    let away = app.connect("/").await.unwrap();
    away.cut().await;
    assert_eq!(engine.sessions(), 1);
    sockets.recv().await.unwrap().disconnect();
    assert_eq!(engine.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn events_for_one_and_for_many_keep_their_order() {
    for (app, io) in both(Namespace::new) {
        let client = app.connect("/").await.unwrap();
        let socket = io.socket(client.id()).unwrap();
        socket.join("room");
        for round in 0..5 {
            io.emit("n", 4 * round);
            socket.emit("n", 4 * round + 1);
            io.to("room").emit("n", 4 * round + 2);
            let waited = socket.emit_when_writable("n", 4 * round + 3).await;
            waited.unwrap();
            sleep(DELAY / 4).await;
        }
        let expected: Vec<_> = (0..20).collect();
        assert_eq!(numbers(&client, &io).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_delivered_when_it_has_its_position() {
    let engine = Engine::default();
    let (app, io) = serve(Some(&engine), Namespace::new());
    let client = app.connect("/").await.unwrap();
    let began = Instant::now();
    io.emit("n", 1);
    assert!(began.elapsed().is_zero());
    client.next::<u32>("n").await;
    assert!(began.elapsed() >= DELAY);
    // Volatile events, and those that ask for an acknowledgement, do not wait.
    io.volatile().emit("n", 2);
    client.next::<u32>("n").await;
    assert!(began.elapsed() < 2 * DELAY);
}

#[tokio::test(start_paused = true)]
async fn servers_of_one_engine_deliver_in_one_order() {
    let engine = Engine::default();
    let servers = [1, 2].map(|_| serve(Some(&engine), Namespace::new()));
    let [(app, io), (other_app, other_io)] = &servers;
    let mut client = app.connect("/").await.unwrap();
    let other = other_app.connect("/").await.unwrap();
    for round in 0..3 {
        io.emit("n", 3 * round);
        other_io.emit("n", 3 * round + 1);
        io.local().emit("n", 100);
        io.emit("n", 3 * round + 2);
    }
    let of_all: Vec<u32> = (0..9).collect();
    assert_eq!(numbers(&other, other_io).await, of_all);
    let mut here = numbers(&client, io).await;
    assert_eq!(here.iter().filter(|number| **number == 100).count(), 3);
    here.retain(|number| *number != 100);
    assert_eq!(here, of_all);
    client.cut().await;
    other_io.emit("n", 9);
    io.emit("n", 10);
    client = app.connect("/").coming_back_as(&client).await.unwrap();
    assert!(client.recovered());
    assert_eq!(numbers(&client, io).await, [9, 10]);
}

#[tokio::test(start_paused = true)]
async fn without_the_engine_events_have_no_offset_and_their_clients_do_not_recover() {
    for condition in [Condition::Down, Condition::Silent] {
        let engine = Engine::default();
        let (app, io) = serve(Some(&engine), Namespace::new());
        let connected = app.connect("/").await.unwrap();
        let away = app.connect("/").await.unwrap();
        io.emit("n", 1);
        for client in [&connected, &away] {
            assert_eq!(client.next::<u32>("n").await, 1);
        }
        away.cut().await;
        engine.set(condition);
        let began = Instant::now();
        io.emit("n", 2);
        io.to(connected.id()).emit("n", 3);
        assert_eq!(connected.next::<u32>("n").await, 2);
        assert_eq!(connected.next::<u32>("n").await, 3);
        let waited = began.elapsed();
        assert_eq!(waited.is_zero(), condition == Condition::Down);
        assert!(waited < Duration::from_secs(2));
        engine.set(Condition::Works);
        // Events whose positions come late are not delivered again.
        sleep(3 * DELAY).await;
        connected.cut().await;
        for client in [&connected, &away] {
            let again = app.connect("/").coming_back_as(client).await.unwrap();
            assert!(!again.recovered(), "{condition:?}");
            assert!(numbers(&again, &io).await.is_empty());
            // From the next event on it may recover again.
            again.cut().await;
            io.emit("n", 4);
            let back = app.connect("/").coming_back_as(&again).await.unwrap();
            assert!(back.recovered());
            assert_eq!(numbers(&back, &io).await, [4]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_wait_are_limited() {
    let engine = Engine::default();
    engine.set(Condition::Silent);
    let recovery = Recovery::new().max_packets(2);
    let io = SocketIo::builder()
        .recovery(recovery)
        .recovery_stores(Arc::new(engine))
        .namespace("/", Namespace::new())
        .build();
    let client = TestApp::new(io.service()).connect("/").await.unwrap();
    let began = Instant::now();
    for number in 0..5 {
        io.emit("n", number);
    }
    for number in 0..3 {
        assert_eq!(client.next::<u32>("n").await, number);
    }
    assert!(began.elapsed().is_zero());
    assert_eq!(client.next::<u32>("n").await, 3);
    assert!(!began.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn sessions_of_connected_sockets_are_saved_at_intervals() {
    let engine = Engine::default();
    let (app, io) = serve(Some(&engine), Namespace::new());
    let client = app.connect("/").await.unwrap();
    io.socket(client.id()).unwrap().join("room");
    sleep(Duration::from_secs(600)).await;
    let state = engine.0.lock();
    let (session, until) = state.sessions.values().next().unwrap();
    assert!(*until > Instant::now());
    assert_eq!((session.id, session.rooms.len()), (client.id(), 1));
}

/// Returns two servers of one engine, and a client of the first that is in a room and has seen an event.
async fn two_servers(engine: &Engine) -> ([(TestApp, SocketIo); 2], TestClient) {
    let servers = [1, 2].map(|_| serve(Some(engine), Namespace::new()));
    let [(app, io), _] = &servers;
    let client = app.connect("/").await.unwrap();
    io.socket(client.id()).unwrap().join("room");
    io.emit("n", 0);
    assert_eq!(client.next::<u32>("n").await, 0);
    (servers, client)
}

#[tokio::test(start_paused = true)]
async fn a_client_recovers_at_another_server() {
    let engine = Engine::default();
    let ([(_, io), (other_app, other_io)], client) = two_servers(&engine).await;
    client.cut().await;
    // The other server has no client yet, so it keeps no events: they are read in pages.
    for number in 1..4 {
        io.to("room").emit("n", number);
        other_io.to("elsewhere").emit("n", 100);
        io.to("room").except("room").emit("n", 101);
    }
    other_io.emit("n", 4);
    io.to(client.id()).emit("n", 5);
    sleep(2 * DELAY).await;
    let coming = other_app.connect("/").coming_back_as(&client);
    let (again, ()) = tokio::join!(coming.into_future(), async {
        // These are emitted while the pages are read.
        for number in 6..8 {
            sleep(DELAY + DELAY / 2).await;
            io.to("room").emit("n", number);
        }
    });
    let again = again.unwrap();
    assert!(again.recovered() && again.id() == client.id());
    assert!(engine.0.lock().reads > 2);
    let socket = other_io.socket(again.id()).unwrap();
    assert!(socket.is_in("room"));
    sleep(3 * DELAY).await;
    let expected: Vec<_> = (1..8).collect();
    assert_eq!(numbers(&again, &other_io).await, expected);
    again.cut().await;
    io.to("room").emit("n", 8);
    let back = other_app.connect("/").coming_back_as(&again).await.unwrap();
    assert!(back.recovered());
    assert_eq!(numbers(&back, &other_io).await, [8]);
}

#[tokio::test(start_paused = true)]
async fn a_client_recovers_at_a_server_that_has_just_started() {
    let engine = Engine::default();
    let ([(_, io), _], client) = two_servers(&engine).await;
    client.cut().await;
    io.to("room").emit("n", 1);
    sleep(2 * DELAY).await;
    let (app, io) = serve(Some(&engine), Namespace::new());
    let again = app.connect("/").coming_back_as(&client).await.unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_known_to_be_lost_ends_when_another_server_has_the_session() {
    let engine = Engine::default();
    let ([(_, io), (other_app, other_io)], client) = two_servers(&engine).await;
    let again = other_app
        .connect("/")
        .coming_back_as(&client)
        .await
        .unwrap();
    assert!(again.recovered());
    client.disconnected().await;
    assert!(io.socket(client.id()).is_none());
    assert_eq!(engine.sessions(), 1);
    io.to("room").emit("n", 1);
    assert_eq!(numbers(&again, &other_io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_events_are_gone_gets_a_new_socket() {
    let engine = Engine::default();
    let ([(_, io), (other_app, other_io)], client) = two_servers(&engine).await;
    client.cut().await;
    for number in 1..4 {
        io.emit("n", number);
    }
    sleep(2 * DELAY).await;
    engine.0.lock().trimmed = Position(6);
    let again = other_app
        .connect("/")
        .coming_back_as(&client)
        .await
        .unwrap();
    assert!(!again.recovered() && again.id() != client.id());
    assert!(numbers(&again, &other_io).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_search_without_an_answer_makes_a_new_socket() {
    for condition in [Condition::Down, Condition::Silent] {
        let engine = Engine::default();
        let ([(_, _), (other_app, _)], client) = two_servers(&engine).await;
        client.cut().await;
        engine.set(condition);
        let again = other_app.connect("/").coming_back_as(&client);
        assert!(!again.await.unwrap().recovered());
        // The session is still there.
        engine.set(Condition::Works);
        let again = other_app
            .connect("/")
            .coming_back_as(&client)
            .await
            .unwrap();
        assert!(again.recovered());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_the_search_changes_nothing() {
    let engine = Engine::default();
    let ([(_, io), (other_app, other_io)], client) = two_servers(&engine).await;
    client.cut().await;
    io.to("room").emit("n", 1);
    for wait in [DELAY / 2, DELAY + DELAY / 2, 2 * DELAY + DELAY / 2] {
        let attempt = tokio::spawn(other_app.connect("/").coming_back_as(&client).into_future());
        sleep(wait).await;
        attempt.abort();
        sleep(10 * DELAY).await;
    }
    let again = other_app
        .connect("/")
        .coming_back_as(&client)
        .await
        .unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &other_io).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_not_resumed_elsewhere_after_an_event_without_a_position() {
    let engine = Engine::default();
    let ([(_, io), (other_app, _)], client) = two_servers(&engine).await;
    engine.set(Condition::Down);
    io.emit("n", 1);
    assert_eq!(client.next::<u32>("n").await, 1);
    engine.set(Condition::Works);
    io.to("elsewhere").emit("n", 2);
    sleep(2 * DELAY).await;
    client.cut().await;
    let again = other_app
        .connect("/")
        .coming_back_as(&client)
        .await
        .unwrap();
    assert!(!again.recovered());
}

#[tokio::test(start_paused = true)]
async fn of_two_searches_at_once_one_finds_the_session() {
    let engine = Engine::default();
    let ([(_, io), (other_app, other_io)], client) = two_servers(&engine).await;
    let id = client.id();
    client.cut().await;
    io.to("room").emit("n", 1);
    let one = other_app.connect("/").coming_back_as(&client);
    let other = other_app.connect("/").coming_back_as(&client);
    let (one, other) = tokio::join!(one.into_future(), other.into_future());
    let clients = [one.unwrap(), other.unwrap()];
    let recovered: Vec<_> = clients.iter().filter(|client| client.recovered()).collect();
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0].id(), id);
    assert_eq!(numbers(recovered[0], &other_io).await, [1]);
    assert_eq!(other_io.local().count().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_a_server_that_shuts_down_recovers_at_another() {
    let engine = Engine::default();
    let ([(_, io), (other_app, other_io)], client) = two_servers(&engine).await;
    io.to("room").emit("n", 1);
    io.close();
    client.disconnected().await;
    other_io.to("room").emit("n", 2);
    let again = other_app
        .connect("/")
        .coming_back_as(&client)
        .await
        .unwrap();
    assert!(again.recovered());
    assert_eq!(numbers(&again, &other_io).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_during_a_search_leaves_the_session() {
    let engine = Engine::default();
    let ([_, (other_app, other_io)], client) = two_servers(&engine).await;
    client.cut().await;
    let attempt = tokio::spawn(other_app.connect("/").coming_back_as(&client).into_future());
    sleep(DELAY / 2).await;
    other_io.close();
    assert!(attempt.await.unwrap().is_err());
    other_io.closed().await;
    assert_eq!((engine.sessions(), engine.claims()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn clients_that_come_at_once_read_the_log_together() {
    let engine = Engine::default();
    let [(app, io), (other_app, other_io)] = [1, 2].map(|_| serve(Some(&engine), Namespace::new()));
    let mut clients = Vec::new();
    for number in 0..6 {
        let client = app.connect("/").await.unwrap();
        io.emit("n", number);
        assert_eq!(client.next::<u32>("n").await, number);
        client.cut().await;
        clients.push(client);
    }
    for number in 6..10 {
        io.emit("n", number);
    }
    sleep(2 * DELAY).await;
    // The first client misses most, and one has seen what is not stored any more.
    engine.0.lock().trimmed = Position(4);
    let coming = clients.iter().map(|client| {
        let coming = other_app.connect("/").coming_back_as(client);
        coming.into_future()
    });
    let again = join_all(coming).await;
    for (client, seen) in again.iter().zip(0..) {
        let client = client.as_ref().unwrap();
        assert_eq!(client.recovered(), seen > 0);
        let missed: Vec<_> = (seen + 1..10).filter(|_| seen > 0).collect();
        assert_eq!(numbers(client, &other_io).await, missed);
    }
    // Each on its own would need seventeen reads.
    let reads = engine.0.lock().reads;
    assert!(reads < 10, "{reads}");
}
