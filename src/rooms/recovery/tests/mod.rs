//! The behaviours of recovery, with the memory of one server and with a store that answers later.

mod engine;
mod one_server;
mod several_servers;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Recovery;
use crate::testing::{TestApp, TestClient};
use crate::{Namespace, SocketIo};
use engine::{Condition, DELAY, Engine};

/// The time that a client waits for the engine.
const LIMIT: Duration = Duration::from_secs(3);

fn serve(engine: Option<&Engine>, namespace: Namespace) -> (TestApp, SocketIo) {
    let recovery = Recovery::new().claim_timeout(LIMIT);
    let mut builder = SocketIo::builder().recovery(recovery);
    if let Some(engine) = engine {
        builder = builder.recovery_stores(Arc::new(engine.clone()));
    }
    let io = builder.namespace("/", namespace).build();
    (TestApp::new(io.service()), io)
}

/// Returns a server with an engine.
fn with_store() -> (Engine, TestApp, SocketIo) {
    let engine = Engine::default();
    let (app, io) = serve(Some(&engine), Namespace::new());
    (engine, app, io)
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

/// Connects a client and cuts its connection.
async fn client_away(app: &TestApp) -> TestClient {
    let client = app.connect("/").await.unwrap();
    client.cut().await;
    client
}

/// Lets a client that is away come back. It gets its socket, or a new one.
async fn come_back(app: &TestApp, client: &TestClient) -> TestClient {
    let again = app.connect("/").coming_back_as(client);
    again.await.unwrap()
}
