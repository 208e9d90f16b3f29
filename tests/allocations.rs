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
     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The further headers of Chrome.
const BROWSER: &str = "Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
     AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\nOrigin: https://chat.example.com\r\n\
     Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en-US;q=0.9,en;q=0.8\r\n\
     Cookie: session=0f8fad5bd9cb469fa16570867728950e; theme=dark; _ga=GA1.1.1234567890.1700000000\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

async fn add(Data((a, b)): Data<(u32, u32)>) -> Json<u32> {
    Json(a.wrapping_add(b))
}

/// Starts a server and connects this number of clients, which join `/` and the room `all`.
async fn clients(count: usize) -> (SocketIo, Vec<TcpStream>) {
    clients_with("", count).await
}

/// Starts a server and connects this number of clients, whose handshakes have further headers.
async fn clients_with(headers: &str, count: usize) -> (SocketIo, Vec<TcpStream>) {
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
        let handshake = format!("{HANDSHAKE}{headers}\r\n");
        client.write_all(handshake.as_bytes()).await.unwrap();
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
fn an_idle_connection_keeps_little() {
    // The clients are in this process, too: 256 bytes are tokio's for their end of the connection.
    for (headers, most) in [("", 4_800), (BROWSER, 5 * 1024)] {
        let each = kept(|| clients_with(headers, CLIENTS));
        let size = headers.len();
        assert!(each <= most, "{each} bytes with {size} bytes of headers");
    }
}

#[cfg(feature = "testing")]
#[test]
fn a_client_in_memory_keeps_less_than_a_tenth_of_its_connection() {
    let both = kept(memory_clients);
    let halves = kept(|| async {
        let (io, clients) = memory_clients().await;
        io.close();
        io.closed().await;
        clients
    });
    assert!(both <= 3_700, "{both} bytes");
    assert!(halves * 10 <= both, "{halves} of {both} bytes");
}

#[cfg(feature = "testing")]
async fn memory_clients() -> (SocketIo, Vec<axum_socketio::testing::MemoryClient>) {
    let namespace = Namespace::new().on_connect(async |socket: Socket| socket.join("all"));
    let io = SocketIo::builder().namespace("/", namespace).build();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let request = axum::http::Request::get("/socket.io/?EIO=4&transport=websocket").body(());
        let opened = axum_socketio::testing::MemoryClient::open(io.service(), request.unwrap());
        let mut client = opened.await.unwrap();
        client.next().await.unwrap();
        client.send("40").await.unwrap();
        client.next().await.unwrap();
        clients.push(client);
    }
    (io, clients)
}

const CLIENTS: usize = 50;

/// Returns the memory that the runtime and the server keep for each of [`CLIENTS`] that `connect` connects, in bytes.
fn kept<C, F: Future<Output = C>>(connect: impl Fn() -> F) -> usize {
    let runtime = runtime();
    // The first ones pay for the memory that a thread and the runtime hold for all of them.
    let first = runtime.block_on(connect());
    let mut more = None;
    let kept = allocation_counter::measure(|| more = Some(runtime.block_on(connect())));
    drop((first, more));
    usize::try_from(kept.bytes_current).unwrap() / CLIENTS
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
