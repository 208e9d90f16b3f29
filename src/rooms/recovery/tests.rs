//! The behaviours of recovery, with the memory of one server and with a store that answers later.

use std::collections::HashMap;
use std::future::{IntoFuture, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};

use super::{Recovery, Reply as StoreReply, SavedSession, Store, Stores};
use crate::sync::Lock;
use crate::testing::{TestApp, TestClient};
use crate::{Data, Namespace, Refused, Reply, Socket, SocketIo};
use proto::Sid;

/// The time that the engine needs for each answer.
const DELAY: Duration = Duration::from_millis(300);

/// The time that a client waits for the engine.
const LIMIT: Duration = Duration::from_secs(1);

/// An engine in the memory of the test, which several servers may use. It answers in virtual time.
#[derive(Clone, Debug, Default)]
struct Engine(Arc<Lock<EngineState>>);

#[derive(Debug, Default)]
struct EngineState {
    sessions: HashMap<Sid, (SavedSession, Instant)>,
    /// The number of claims that have arrived.
    claims: usize,
    condition: Condition,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Condition {
    #[default]
    Works,
    /// Claims fail, and commands are lost.
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
}

impl Stores for Engine {
    fn open(&self, _: &Arc<str>) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }
}

impl Store for Engine {
    fn claim(&self, pid: Sid) -> StoreReply<Option<SavedSession>> {
        let engine = self.clone();
        engine.0.lock().claims += 1;
        Box::pin(async move {
            sleep(DELAY).await;
            let condition = engine.0.lock().condition;
            match condition {
                Condition::Works => {}
                Condition::Down => return Err("connection lost".into()),
                Condition::Silent => pending().await,
            }
            let claimed = engine.0.lock().sessions.remove(&pid);
            let claimed = claimed.filter(|(_, until)| *until > Instant::now());
            Ok(claimed.map(|(session, _)| session))
        })
    }

    fn save(&self, pid: Sid, session: SavedSession, keep: Duration) {
        let mut state = self.0.lock();
        if state.condition != Condition::Down {
            state.sessions.insert(pid, (session, Instant::now() + keep));
        }
    }

    fn discard(&self, pid: Sid) {
        self.0.lock().sessions.remove(&pid);
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
        engine.set(condition);
        io.emit("n", 1);
        let began = Instant::now();
        let again = app.connect("/").coming_back_as(&first).await.unwrap();
        assert!(!again.recovered() && again.id() != first.id());
        assert!(began.elapsed() < LIMIT + DELAY, "{condition:?}");
        assert!(numbers(&again, &io).await.is_empty());
        // Middleware are asked about the new socket too.
        assert_eq!(*asked.lock(), 3);
        engine.set(Condition::Works);
        again.cut().await;
        io.emit("n", 2);
        let back = app.connect("/").coming_back_as(&again).await.unwrap();
        assert!(back.recovered());
        assert_eq!(numbers(&back, &io).await, [2]);
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
