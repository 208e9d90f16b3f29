//! The maximum number of allocations of an event and of a delivery, as promised by `docs/architecture.md`, "What things
//! cost".
//!
//! Server and clients run on the only thread of the test. The clients allocate nothing, so all counted allocations are
//! the server's.
#![allow(clippy::unwrap_used, reason = "tests")]

use axum::{Json, Router};
use axum_socketio::{Data, Namespace, Socket, SocketIo};
use proto::websocket::{Opcode, masked_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const HANDSHAKE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn add(Data((a, b)): Data<(u32, u32)>) -> Json<u32> {
    Json(a.wrapping_add(b))
}

/// Starts a server and connects this number of clients, which join `/` and the room `all`.
async fn clients(count: usize) -> (SocketIo, Vec<TcpStream>) {
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| socket.join("all"))
        .on("add", add);
    let io = SocketIo::builder().namespace("/", namespace).build();
    let app = Router::new().layer(io.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.set_nodelay(true).unwrap();
        client.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        read_until(&mut client, b"0{").await;
        client.write_all(&message("40")).await.unwrap();
        read_until(&mut client, b"40{").await;
        clients.push(client);
    }
    (io, clients)
}

fn message(text: &str) -> Vec<u8> {
    masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]).to_vec()
}

async fn read_until(client: &mut TcpStream, wanted: &[u8]) {
    let mut seen = Vec::new();
    while !seen.windows(wanted.len()).any(|window| window == wanted) {
        assert!(client.read_buf(&mut seen).await.unwrap() > 0, "closed");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Returns the number of allocations of `work`.
fn allocations(runtime: &Runtime, work: impl Future<Output = ()>) -> u64 {
    allocation_counter::measure(|| runtime.block_on(work)).count_total
}

#[test]
fn an_idle_connection_keeps_nothing_of_its_handshake_but_the_headers() {
    const CLIENTS: usize = 50;

    let runtime = runtime();
    // The first client pays for the memory that a thread and the runtime hold for all of them.
    let first = runtime.block_on(clients(1));
    let mut more = None;
    let kept = allocation_counter::measure(|| more = Some(runtime.block_on(clients(CLIENTS))));
    let each = usize::try_from(kept.bytes_current).unwrap() / CLIENTS;
    assert!(each < 6 * 1024, "{each} bytes");
    drop((first, more));
}

#[test]
fn an_event_with_an_acknowledgement_allocates_three_times() {
    const EVENTS: u64 = 200;

    let runtime = runtime();
    let (_io, mut clients) = runtime.block_on(clients(1));
    let client = &mut clients[0];
    let (ask, mut answer) = (message(r#"427["add",1,2]"#), [0; 8]);
    let mut echo = async |times| {
        for _ in 0..times {
            client.write_all(&ask).await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"\x81\x06437[3]");
        }
    };
    runtime.block_on(echo(10));
    let allocated = allocations(&runtime, echo(EVENTS));
    // The received text, the handler's future, and the acknowledgement.
    assert_eq!(allocated, 3 * EVENTS);
}

#[test]
fn a_delivery_allocates_nothing() {
    const TIMES: u64 = 50;

    let broadcasts = |count: usize| {
        let runtime = runtime();
        let (io, mut clients) = runtime.block_on(clients(count));
        let mut broadcast = async |times| {
            let mut heard = [0; 11];
            for _ in 0..times {
                io.to("all").emit("e", 1);
                for client in &mut clients {
                    client.read_exact(&mut heard).await.unwrap();
                    assert_eq!(&heard, b"\x81\x0942[\"e\",1]");
                }
            }
        };
        runtime.block_on(broadcast(10));
        allocations(&runtime, broadcast(TIMES))
    };
    assert_eq!(broadcasts(1), broadcasts(2), "each written by its own task");
    // One task writes to many members. It is created for each broadcast.
    assert_eq!(broadcasts(20), broadcasts(60), "all written by one");
}
