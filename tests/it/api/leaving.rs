//! Disconnects: their causes, their reasons, and the notification of each side.

use std::time::Duration;

use axum::Router;
use axum_socketio::emit::CloseError;
use axum_socketio::{Data, DisconnectReason, Namespace, Socket, SocketIo, Timeouts};
use proto::websocket::WebSocketEvent;
use tokio::sync::mpsc;

use super::with;
use crate::support::{Ended, Http, Polling, Reasons, Server, Ws, serve, start, within};

/// Starts a server whose namespaces `/` and `/b` disconnect clients on request. Returns a channel with the namespace
/// and the reason of each disconnect as well.
async fn exits() -> (Server, SocketIo, mpsc::UnboundedReceiver<String>) {
    let (sender, left) = mpsc::unbounded_channel();
    let namespace = || {
        let sender = sender.clone();
        Namespace::new()
            .on("all", async |socket: Socket| {
                socket.emit("bye", ());
                socket.disconnect_all();
            })
            .on(
                "close",
                async |socket: Socket, Data((code, why)): Data<(u16, String)>| {
                    socket.emit("bye", ());
                    let closed = socket.close(code, &why);
                    let is_valid = code >= 1008;
                    let error = CloseError::InvalidCode(code);
                    assert_eq!(closed, if is_valid { Ok(()) } else { Err(error) });
                },
            )
            .on_disconnect(move |socket: Socket, reason: DisconnectReason| async move {
                sender.send(format!("{} {reason}", socket.nsp())).unwrap();
            })
    };
    let io = SocketIo::builder()
        .namespace("/", namespace())
        .namespace("/b", namespace())
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    (server, io, left)
}

async fn both_left(left: &mut mpsc::UnboundedReceiver<String>, reason: &str) {
    let mut both = Vec::new();
    for _ in 0..2 {
        both.push(within("an end", left.recv()).await.unwrap());
    }
    both.sort();
    assert_eq!(both, [format!("/ {reason}"), format!("/b {reason}")]);
}

#[tokio::test]
async fn a_whole_connection_is_disconnected_by_one_of_its_sockets_or_by_a_room() {
    let (server, io, mut left) = exits().await;
    for how in ["socket", "room", "remote"] {
        let mut client = Ws::joined(server.addr).await;
        let id = client.join("/b").await;
        let mut texts = vec!["41".to_owned(), "41/b,".to_owned()];
        match how {
            "room" => io.of("/b").to(&id).disconnect_all(),
            "remote" => {
                let found = io.of("/b").fetch_sockets().await.unwrap();
                found.iter().for_each(|socket| socket.disconnect_all());
            }
            _ => {
                client.send(r#"42["all"]"#).await;
                texts.insert(0, r#"42["bye"]"#.to_owned());
            }
        }
        let mut ended = client.ended().await;
        // The socket that was asked ends first, so the order differs.
        ended.texts.sort();
        texts.sort();
        let close = Some(None);
        assert_eq!(ended, Ended { texts, close }, "{how}");
        both_left(&mut left, "server namespace disconnect").await;
    }
}

#[tokio::test]
async fn a_connection_may_be_closed_with_a_code_and_a_reason_of_ones_own() {
    let (server, _io, mut left) = exits().await;
    let long = "é".repeat(100);
    for (code, why, close) in [
        (4003, "moved", Some((4003, "moved"))),
        (1008, "", Some((1008, ""))),
        (4999, long.as_str(), Some((4999, &long[..122]))),
        // Codes that must not be sent.
        (1006, "lost", None),
        (0, "zero", None),
    ] {
        let mut client = Ws::joined(server.addr).await;
        client.join("/b").await;
        client.send(&format!(r#"42["close",{code},"{why}"]"#)).await;
        assert_eq!(client.text().await, r#"42["bye"]"#);
        let Some(WebSocketEvent::Close(got)) = client.event().await else {
            panic!("{code}: no namespace is told");
        };
        let got = got.map(|close| (close.code.get(), close.reason.to_string()));
        assert_eq!(got, close.map(|(code, why)| (code, why.to_owned())));
        both_left(&mut left, "forced close").await;
    }
}

#[tokio::test]
async fn a_polling_client_is_closed_plainly() {
    let (server, _io, mut left) = exits().await;
    let mut client = Polling::joined(server.addr).await;
    client.send(r#"42["close",4003,"moved"]"#).await;
    assert_eq!(client.poll().await, r#"42["bye"]"#);
    assert_eq!(client.poll().await, "6\x1e1");
    client.gone().await;
    let last = within("an end", left.recv()).await;
    assert_eq!(last.as_deref(), Some("/ forced close"));
}

#[tokio::test]
async fn a_connection_that_has_ended_cannot_be_closed() {
    let (sender, mut sockets) = mpsc::unbounded_channel();
    let (server, io) = with(Namespace::new().on_connect(async move |socket: Socket| {
        let _ = sender.send(socket);
    }))
    .await;
    let client = Ws::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    drop(client);
    within("the end", socket.closed()).await;
    while io.client_count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(socket.close(4000, "late"), Err(CloseError::Closed));
}

/// A test of what Node does in `disconnecting`.
#[tokio::test]
async fn a_leaving_socket_knows_its_rooms_and_their_members() {
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| socket.join(["a", "b"]))
        .on("kick", async |socket: Socket| socket.disconnect())
        .on("end", async || {})
        .on_disconnect(async |socket: Socket| {
            for room in socket.rooms() {
                assert!(socket.is_in(&room));
                socket.to(&room).emit("left", (socket.id(), &room));
            }
            assert!(!socket.emit("late", ()).ok());
        });
    let (server, _io) = with(namespace).await;
    let mut stays = Ws::joined(server.addr).await;
    for how in ["41", r#"42["kick"]"#, "1"] {
        let mut leaves = Ws::open(server.addr).await;
        let id = leaves.join("/").await;
        leaves.send(how).await;
        // Both sockets have joined these two rooms. No other socket is in the room of its id.
        for room in ["a", "b"] {
            assert_eq!(stays.text().await, format!(r#"42["left","{id}","{room}"]"#));
        }
        assert_eq!(stays.ask(r#"["end"]"#).await, "[]", "and nothing else");
    }
}

/// Ends a connection over polling, from the side of the client or of the server.
async fn end(client: &mut Polling, how: &str) {
    match how {
        "overlap" => {
            let target = client.target();
            let mut other = Http::open(client.addr).await;
            other.begin("GET", &target, &[], b"").await;
            let _ = client.get().await;
        }
        body => drop(client.post(body).await),
    }
}

#[tokio::test]
async fn every_reason_over_polling_is_in_nodes_words() {
    let (server, _io, mut reasons) = start(|io| io).await;
    for (how, reason) in [
        ("41", "client namespace disconnect"),
        ("1", "transport close"),
        ("2", "transport error"),
        ("overlap", "transport error"),
        ("x", "parse error"),
        ("42{}", "forced close"),
    ] {
        let mut client = Polling::joined(server.addr).await;
        end(&mut client, how).await;
        assert_eq!(reasons.next().await, reason, "{how}");
    }
    reasons.none();
}

/// A server with one client of each transport. (`heartbeat.rs` tests `ping timeout`, `limits.rs` tests `slow client`.)
struct Both {
    _server: Server,
    _clients: (Ws, Polling),
    reasons: Reasons,
}

impl Both {
    async fn when(what: impl FnOnce(&SocketIo)) -> Self {
        let (server, io, reasons) =
            start(|io| io.timeouts(Timeouts::new().drain_window(Duration::ZERO))).await;
        let clients = (
            Ws::joined(server.addr).await,
            Polling::joined(server.addr).await,
        );
        what(&io);
        Self {
            _server: server,
            _clients: clients,
            reasons,
        }
    }

    async fn leave(mut self, reason: &str) {
        for _ in 0..2 {
            assert_eq!(self.reasons.next().await, reason);
        }
    }
}

#[tokio::test]
async fn every_reason_of_the_server_is_in_nodes_words() {
    let both = Both::when(|io| io.of("/").disconnect()).await;
    both.leave("server namespace disconnect").await;
    let both = Both::when(SocketIo::close).await;
    both.leave("server shutting down").await;
}
