//! The example `sessions`: HTTP sessions that sockets share, and the effect of a logout on both.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tower_sessions::MemoryStore;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Result, SessionStore};

use crate::support::{Http, Server, WEBSOCKET, Ws, handshake, serve, within};

#[allow(dead_code, reason = "the program's main")]
#[path = "../../examples/sessions.rs"]
mod example;

type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A store in which a save waits for a permit, and whose calls a test can observe.
#[derive(Clone, Debug)]
struct Gate {
    store: MemoryStore,
    permits: Arc<Semaphore>,
    saves: watch::Sender<usize>,
    deletions: watch::Sender<usize>,
}

impl Gate {
    fn open() -> Self {
        Self {
            store: MemoryStore::default(),
            permits: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            saves: watch::Sender::new(0),
            deletions: watch::Sender::new(0),
        }
    }
}

/// Waits until the counter reaches a number.
async fn counted(counter: &watch::Sender<usize>, wanted: usize) {
    let mut counter = counter.subscribe();
    let reached = counter.wait_for(|count| *count >= wanted);
    within("a call of the store", reached).await.unwrap();
}

impl SessionStore for Gate {
    fn save<'a, 'b, 'c>(&'a self, record: &'b Record) -> Pending<'c, ()>
    where
        'a: 'c,
        'b: 'c,
    {
        Box::pin(async {
            self.saves.send_modify(|saves| *saves += 1);
            let _permit = self.permits.acquire().await;
            self.store.save(record).await
        })
    }

    fn load<'a, 'b, 'c>(&'a self, id: &'b Id) -> Pending<'c, Option<Record>>
    where
        'a: 'c,
        'b: 'c,
    {
        self.store.load(id)
    }

    fn delete<'a, 'b, 'c>(&'a self, id: &'b Id) -> Pending<'c, ()>
    where
        'a: 'c,
        'b: 'c,
    {
        Box::pin(async {
            let deleted = self.store.delete(id).await;
            self.deletions.send_modify(|deletions| *deletions += 1);
            deleted
        })
    }
}

async fn ask(server: &Server, method: &str, path: &str, cookie: &str) -> (u16, String) {
    let mut http = Http::open(server.addr).await;
    let answer = http.ask(method, path, &[("Cookie", cookie)], b"").await;
    (answer.status, answer.text().to_owned())
}

/// Logs in, and returns the cookie of the new session.
async fn login(server: &Server) -> String {
    let login = Http::once(server.addr, "POST", "/login/ann").await;
    assert_eq!(login.status, 204);
    let cookie = login.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Connects a socket with this cookie. Returns the server's answer to its CONNECT as well.
async fn connect(server: &Server, cookie: &str) -> (Ws, String) {
    let (answer, http) = handshake(server.addr, WEBSOCKET, &[("Cookie", cookie)]).await;
    let mut client = Ws::on(answer, http).unwrap();
    assert!(client.text().await.starts_with('0'));
    client.send("40").await;
    let answer = client.text().await;
    (client, answer)
}

#[tokio::test]
async fn a_logout_disconnects_the_sockets_of_its_session_and_no_other() {
    let server = serve(example::app(MemoryStore::default()).0).await;
    let (_, stranger) = connect(&server, "").await;
    assert_eq!(stranger, r#"44{"message":"Unauthorized"}"#);

    let (mine, other) = (login(&server).await, login(&server).await);
    let mut clients = Vec::new();
    for cookie in [&mine, &mine, &other] {
        let (client, answer) = connect(&server, cookie).await;
        assert!(answer.starts_with(r#"40{"sid":"#), "{answer}");
        clients.push(client);
    }
    let mut others = clients.pop().unwrap();

    assert_eq!(clients[0].ask(r#"["add","tea"]"#).await, "[1]");
    assert_eq!(clients[1].ask(r#"["add","milk"]"#).await, "[2]");
    let cart = r#"["tea","milk"]"#.to_owned();
    assert_eq!(ask(&server, "GET", "/cart", &mine).await, (200, cart));

    assert_eq!(ask(&server, "POST", "/logout", &mine).await.0, 204);
    for mut client in clients {
        assert_eq!(client.ended().await.close, Some(None));
    }
    assert_eq!(ask(&server, "GET", "/cart", &mine).await.0, 401);
    let (_, refused) = connect(&server, &mine).await;
    assert_eq!(refused, r#"44{"message":"Unauthorized"}"#);
    assert_eq!(others.ask(r#"["add","salt"]"#).await, "[1]");
}

#[tokio::test]
async fn a_save_after_the_logout_does_not_restore_the_session() {
    let gate = Gate::open();
    let server = serve(example::app(gate.clone()).0).await;
    let cookie = login(&server).await;
    let (mut client, _) = connect(&server, &cookie).await;
    assert_eq!(client.ask(r#"["add","tea"]"#).await, "[1]");

    // The handler has loaded the session, and is about to save it.
    let before = *gate.saves.borrow();
    let deletions = *gate.deletions.borrow();
    gate.permits.forget_permits(Semaphore::MAX_PERMITS);
    client.send(r#"421["add","milk"]"#).await;
    counted(&gate.saves, before + 1).await;

    assert_eq!(ask(&server, "POST", "/logout", &cookie).await.0, 204);
    assert_eq!(client.ended().await.close, Some(None));
    gate.permits.add_permits(1);
    counted(&gate.deletions, deletions + 2).await;
    assert_eq!(ask(&server, "GET", "/cart", &cookie).await.0, 401);
    let (_, refused) = connect(&server, &cookie).await;
    assert_eq!(refused, r#"44{"message":"Unauthorized"}"#);
}

#[tokio::test]
async fn an_event_after_the_session_has_ended_changes_nothing() {
    let store = MemoryStore::default();
    let server = serve(example::app(store.clone()).0).await;
    let cookie = login(&server).await;
    let (mut client, _) = connect(&server, &cookie).await;
    assert_eq!(client.ask(r#"["add","tea"]"#).await, "[1]");
    // The session ends as if it expired, or as if another server ended it: the socket is not disconnected.
    let id: Id = cookie.split_once('=').unwrap().1.parse().unwrap();
    store.delete(&id).await.unwrap();
    assert_eq!(
        client.ask(r#"["add","milk"]"#).await,
        r#"[{"error":"Unauthorized"}]"#
    );
    assert!(store.load(&id).await.unwrap().is_none());
}
