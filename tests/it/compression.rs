//! Compressed messages (permessage-deflate), tested by a client that reads the frames itself.

use std::net::SocketAddr;

use axum_socketio::config::Compression;
use axum_socketio::{Data, Limits, Namespace, Socket, SocketIoBuilder};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use proto::websocket::{Opcode, masked_frame};
use serde::de::IgnoredAny;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Logs, Polling, WEBSOCKET, Ws, handshake, settle, start, until, with, within};

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    first: u8,
    payload: Vec<u8>,
}

impl Frame {
    const fn is_compressed(&self) -> bool {
        self.first & 0x40 != 0
    }

    /// Returns the text of the message.
    fn text(&self) -> String {
        if !self.is_compressed() {
            return String::from_utf8(self.payload.clone()).unwrap();
        }
        let mut data = Vec::with_capacity(1_000_000);
        let input = [&self.payload[..], &[0, 0, 0xff, 0xff]].concat();
        let mut inflate = Decompress::new(false);
        let flush = FlushDecompress::Sync;
        inflate.decompress_vec(&input, &mut data, flush).unwrap();
        String::from_utf8(data).unwrap()
    }
}

struct Client(TcpStream);

impl Client {
    /// Connects a client that joins `/`. Returns the negotiated extensions as well.
    async fn join(addr: SocketAddr, offer: &str) -> (Self, Option<String>) {
        let more = [("Sec-WebSocket-Extensions", offer)];
        let (answer, http) = handshake(addr, WEBSOCKET, &more).await;
        assert_eq!(answer.status, 101);
        let agreed = answer.header("sec-websocket-extensions").map(str::to_owned);
        let (stream, rest) = http.into_stream();
        let mut client = Self(stream);
        if rest.is_empty() {
            assert!(client.frame().await.text().starts_with('0'));
        }
        client.send(b"40").await;
        assert!(client.frame().await.text().starts_with("40"));
        (client, agreed)
    }

    async fn frame(&mut self) -> Frame {
        let stream = &mut self.0;
        let read = async {
            let first = stream.read_u8().await?;
            let length = match stream.read_u8().await? {
                126 => u64::from(stream.read_u16().await?),
                127 => stream.read_u64().await?,
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut payload).await?;
            std::io::Result::Ok(Frame { first, payload })
        };
        within("a frame", read).await.unwrap()
    }

    async fn send(&mut self, text: &[u8]) {
        let frame = masked_frame(Opcode::Text, text, [1, 2, 3, 4]);
        self.0.write_all(&frame).await.unwrap();
    }

    /// Sends a frame that is marked as compressed.
    async fn send_marked(&mut self, payload: &[u8]) {
        let mut frame = masked_frame(Opcode::Text, payload, [1, 2, 3, 4]).to_vec();
        frame[0] |= 0x40;
        self.0.write_all(&frame).await.unwrap();
    }
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(text.len() + 100);
    let mut deflate = Compress::new(flate2::Compression::new(6), false);
    deflate
        .compress_vec(text, &mut data, FlushCompress::Sync)
        .unwrap();
    data.truncate(data.len() - 4);
    data
}

fn on(io: SocketIoBuilder) -> SocketIoBuilder {
    io.compression(Compression::new())
}

#[tokio::test]
async fn only_who_offers_it_and_a_server_that_wants_it_compress() {
    let (off, ..) = start(|io| io).await;
    assert_eq!(Client::join(off.addr, OFFER).await.1, None);
    let (server, io, _) = start(on).await;
    let (mut with, agreed) = Client::join(server.addr, OFFER).await;
    assert_eq!(agreed.as_deref(), Some(AGREED));
    let (mut without, agreed) = Client::join(server.addr, "x-other").await;
    assert_eq!(agreed, None);
    let long = "é ".repeat(1000);
    io.emit("news", &long);
    let (one, other) = (with.frame().await, without.frame().await);
    assert!(one.is_compressed() && one.payload.len() < 200);
    assert!(!other.is_compressed());
    assert_eq!(one.text(), other.text());
}

#[tokio::test]
async fn short_events_are_left_alone_and_what_must_not_be_compressed() {
    let (server, io, _) = start(on).await;
    let (mut client, _) = Client::join(server.addr, OFFER).await;
    io.emit("n", "x".repeat(1000));
    assert!(!client.frame().await.is_compressed());
    io.emit("n", "x".repeat(1100));
    assert!(client.frame().await.is_compressed());
    io.uncompressed().emit("n", "x".repeat(1100));
    assert!(!client.frame().await.is_compressed());
    let socket = io.fetch_sockets().await.unwrap().remove(0);
    let socket: Socket = io.socket(socket.id()).unwrap();
    socket.emit("n", "x".repeat(1100));
    assert!(client.frame().await.is_compressed());
    socket.uncompressed().emit("n", "x".repeat(1100));
    assert!(!client.frame().await.is_compressed());
}

#[tokio::test]
async fn an_event_with_attachments_is_compressed_part_by_part() {
    let (server, io, _) = start(on).await;
    let (mut client, _) = Client::join(server.addr, OFFER).await;
    let (long, short) = (vec![7_u8; 5000], vec![8_u8; 10]);
    let both = (
        bytes::Bytes::from(long.clone()),
        bytes::Bytes::from(short.clone()),
    );
    io.emit("files", both);
    let [text, one, two] = [
        client.frame().await,
        client.frame().await,
        client.frame().await,
    ];
    assert!(text.text().starts_with("452-[\"files\""));
    assert_eq!((one.first, two.first), (0xc2, 0x82));
    assert_eq!((one.text().into_bytes(), two.payload), (long, short));
}

#[tokio::test]
async fn compressed_messages_of_clients_are_read() {
    let (server, ..) = start(on).await;
    let (mut client, _) = Client::join(server.addr, OFFER).await;
    for number in 0..3 {
        let text = "日本 ".repeat(500 + number);
        let event = format!(r#"42{number}["echo","{text}"]"#);
        client.send_marked(&compressed(event.as_bytes())).await;
        let answer = client.frame().await;
        assert_eq!(answer.text(), format!(r#"43{number}["{text}"]"#));
    }
    // The client may also send a message uncompressed.
    client.send(br#"429["echo",1]"#).await;
    assert_eq!(client.frame().await.text(), "439[1]");
}

#[tokio::test]
async fn oversized_or_corrupt_compressed_messages_close() {
    let logs = Logs::collect("warn");
    let (server, io, mut reasons) =
        start(|io| on(io).limits(Limits::new().max_payload(100_000))).await;
    let mut other = Ws::joined(server.addr).await;
    let bomb = compressed(&vec![b'4'; 50_000_000]);
    assert!(bomb.len() < 100_000);
    let text = compressed(&[b'4', 0xff, 0xfe]);
    for (payload, code) in [
        (bomb, 1009_u16),
        (b"no deflate at all, is it?".to_vec(), 1007),
        (text, 1007),
    ] {
        let (mut client, _) = Client::join(server.addr, OFFER).await;
        client.send_marked(&payload).await;
        let close = client.frame().await;
        assert_eq!(close.first, 0x88);
        assert_eq!(close.payload[..2], code.to_be_bytes());
        assert_eq!(reasons.next().await, "transport error");
        other.alive().await;
        reasons.none();
    }
    assert_eq!(logs.with("max_payload").len(), 1);
    let closed = io.metrics().connections_closed;
    assert_eq!(
        (closed["payload too large"], closed["transport error"]),
        (1, 2)
    );
}

/// Creates an event whose argument is a list of this number of zeros.
fn zeros(count: usize) -> Vec<u8> {
    let list = vec!["0"; count].join(",");
    format!(r#"421["echo",[{list}]]"#).into_bytes()
}

#[tokio::test]
async fn a_message_may_become_so_many_times_as_long_and_no_longer() {
    let logs = Logs::collect("warn");
    let (server, io, mut reasons) = start(on).await;
    let mut other = Ws::joined(server.addr).await;
    let (mut client, _) = Client::join(server.addr, OFFER).await;
    // Small messages may have any ratio, and JSON as applications send it passes.
    let records: Vec<_> = (0..20_000)
        .map(|n: u32| format!(r#"{{"id":{n},"name":"user-{}","online":true}}"#, n % 97))
        .collect();
    let records = format!(r#"421["echo",[{}]]"#, records.join(",")).into_bytes();
    for passes in [zeros(1000), records] {
        client.send_marked(&compressed(&passes)).await;
        assert!(client.frame().await.text().starts_with("431[["));
    }
    client.send_marked(&compressed(&zeros(400_000))).await;
    let close = client.frame().await;
    assert_eq!(close.first, 0x88);
    assert_eq!(close.payload[..2], 1009_u16.to_be_bytes());
    assert_eq!(reasons.next().await, "transport error");
    other.alive().await;
    reasons.none();
    let metrics = io.metrics();
    assert_eq!(metrics.input_refused["Compression::max_ratio"], 1);
    assert_eq!(metrics.connections_closed["payload too large"], 1);
    assert_eq!(logs.with("over Compression::max_ratio").len(), 1);
}

#[tokio::test]
async fn the_ratio_of_a_probing_websocket_is_limited_too() {
    let (server, io, mut reasons) = start(on).await;
    let mut client = Polling::joined(server.addr).await;
    let target = format!("{WEBSOCKET}&sid={}", client.sid);
    let more = [("Sec-WebSocket-Extensions", OFFER)];
    let (answer, http) = handshake(server.addr, &target, &more).await;
    assert_eq!(answer.status, 101);
    let mut probe = Client(http.into_stream().0);
    probe.send_marked(&compressed(&zeros(400_000))).await;
    assert_eq!(probe.frame().await.first, 0x88);
    let metrics = io.metrics();
    assert_eq!(metrics.input_refused["Compression::max_ratio"], 1);
    client.send(r#"421["echo"]"#).await;
    client.expect(&["431[]"]).await;
    reasons.none();
}

#[tokio::test]
async fn a_bitmap_of_zeros_passes_where_the_ratio_is_not_limited() {
    let set = |io: SocketIoBuilder| io.compression(Compression::new().max_ratio(u32::MAX));
    let (server, ..) = start(set).await;
    let (mut client, _) = Client::join(server.addr, OFFER).await;
    client.send_marked(&compressed(&zeros(400_000))).await;
    assert!(client.frame().await.text().starts_with("431[[0,0,"));
}

#[tokio::test]
async fn messages_are_inflated_only_as_the_connection_reads_them() {
    let namespace = Namespace::new()
        .on("wait", async |_: Data<IgnoredAny>| {
            std::future::pending::<()>().await
        })
        .max_pending(1);
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .compression(Compression::new().max_ratio(u32::MAX))
            .limits(Limits::new().max_queued_bytes(1))
    })
    .await;
    let (mut client, _) = Client::join(server.addr, OFFER).await;
    let list = vec!["0"; 250_000].join(",");
    let message = compressed(format!(r#"42["wait",[{list}]]"#).as_bytes());
    let mut frame = masked_frame(Opcode::Text, &message, [1, 2, 3, 4]).to_vec();
    frame[0] |= 0x40;
    // Many of them are in one read.
    assert!(frame.len() < 4096, "{}", frame.len());
    client.0.write_all(&frame.repeat(40)).await.unwrap();
    until("two are held", || io.metrics().inbound_bytes > 990_000).await;
    settle().await;
    assert!(io.metrics().inbound_bytes < 2_000_000);
}

#[tokio::test]
async fn the_bit_of_compression_means_nothing_where_none_was_agreed_on() {
    let (server, ..) = start(on).await;
    let (mut client, _) = Client::join(server.addr, "x-other").await;
    client.send_marked(&compressed(b"42[\"echo\"]")).await;
    assert_eq!(client.frame().await.payload[..2], 1002_u16.to_be_bytes());
}

#[tokio::test]
async fn with_takeover_what_is_said_again_takes_less() {
    for (takeover, much_less) in [(false, false), (true, true)] {
        let compression = match takeover {
            true => Compression::new().server_context_takeover(),
            false => Compression::new(),
        };
        let (server, io, _) = start(|io| io.compression(compression)).await;
        let (mut client, agreed) = Client::join(server.addr, OFFER).await;
        assert_eq!(agreed.unwrap().contains("server_no_context"), !takeover);
        let text: String = (0..1000_u32)
            .map(|n| format!("{:x}", n.wrapping_mul(n).wrapping_mul(7919)))
            .collect();
        io.emit("n", &text);
        io.emit("n", &text);
        let (first, second) = (client.frame().await, client.frame().await);
        assert!(first.is_compressed() && second.is_compressed());
        assert_eq!(second.payload.len() * 10 < first.payload.len(), much_less);
    }
}

#[cfg(feature = "v3")]
#[tokio::test]
async fn clients_of_revision_3_are_not_compressed_for() {
    let (server, ..) = start(|io| on(io).allow_eio3()).await;
    let more = [("Sec-WebSocket-Extensions", OFFER)];
    let target = WEBSOCKET.replace("EIO=4", "EIO=3");
    let (answer, _) = handshake(server.addr, &target, &more).await;
    assert_eq!(
        (answer.status, answer.header("sec-websocket-extensions")),
        (101, None)
    );
}
