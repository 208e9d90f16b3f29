//! The packets of recovery, byte by byte.

use axum::Router;
use axum_socketio::config::Recovery;
use axum_socketio::{Namespace, Socket, SocketIo};

use crate::support::{Server, Ws, serve};

async fn server() -> (Server, SocketIo) {
    let namespace = Namespace::new().on("ask", async |socket: Socket| {
        let _ = socket.emit_with_ack::<()>("question", "?").await;
    });
    let io = SocketIo::builder()
        .recovery(Recovery::new())
        .namespace("/", namespace)
        .build();
    (serve(Router::new().layer(io.layer())).await, io)
}

/// Joins, and returns the ids.
async fn join(client: &mut Ws, auth: &str) -> (String, String) {
    client.send(&format!("40{auth}")).await;
    let text = client.text().await;
    let json = text.strip_prefix("40").expect(&text);
    let ids: serde_json::Value = serde_json::from_str(json).unwrap();
    let id = |name: &str| ids[name].as_str().expect(json).to_owned();
    assert_eq!(ids.as_object().unwrap().len(), 2);
    (id("sid"), id("pid"))
}

/// Returns the last argument of an event.
fn offset(event: &str) -> String {
    let json = event.trim_start_matches(|c: char| c != '[');
    let args: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
    args.last().unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn events_have_an_offset_and_sockets_a_private_id() {
    let (server, io) = server().await;
    let mut client = Ws::open(server.addr).await;
    let (sid, pid) = join(&mut client, "").await;
    assert_ne!(sid, pid);
    assert_eq!((sid.len(), pid.len()), (20, 20));

    io.emit("a", ());
    let first = client.text().await;
    let at = offset(&first);
    assert_eq!(first, format!(r#"42["a","{at}"]"#));

    // Volatile events are not logged, and do not change the offset.
    io.volatile().emit("b", "text");
    assert_eq!(client.text().await, format!(r#"42["b","text","{at}"]"#));

    io.emit("c", ("x", 1));
    let second = client.text().await;
    assert_ne!(offset(&second), at);
    assert_eq!(second, format!(r#"42["c","x",1,"{}"]"#, offset(&second)));

    // Events that request an acknowledgement have no offset.
    client.send(r#"42["ask"]"#).await;
    assert_eq!(client.text().await, r#"420["question","?"]"#);

    let bytes = bytes::Bytes::from_static(b"x");
    io.emit("d", bytes);
    let binary = client.text().await;
    let last = offset(&binary);
    assert_eq!(
        binary,
        format!(r#"451-["d",{{"_placeholder":true,"num":0}},"{last}"]"#)
    );
}

/// Node sends the missed events before the answer to CONNECT. Its client holds them back until the answer arrives, so
/// that a lost connection between them makes it deliver the same events twice.
#[tokio::test]
async fn what_was_missed_comes_behind_the_answer_to_connect() {
    let (server, io) = server().await;
    let mut client = Ws::open(server.addr).await;
    let (sid, pid) = join(&mut client, "").await;
    io.emit("a", ());
    let at = offset(&client.text().await);
    io.emit("b", ());
    let missed = client.text().await;
    drop(client);

    let mut client = Ws::open(server.addr).await;
    let auth = format!(r#"{{"pid":"{pid}","offset":"{at}","token":"t"}}"#);
    assert_eq!(join(&mut client, &auth).await, (sid, pid));
    assert_eq!(client.text().await, missed);
}

#[tokio::test]
async fn who_brings_what_is_not_known_is_new() {
    let (server, io) = server().await;
    let mut client = Ws::open(server.addr).await;
    let (sid, pid) = join(&mut client, "").await;
    io.emit("a", ());
    let at = offset(&client.text().await);
    drop(client);
    for auth in [
        format!(r#"{{"pid":"AAAAAAAAAAAAAAAAAAAA","offset":"{at}"}}"#),
        format!(r#"{{"pid":"{pid}!","offset":"{at}"}}"#),
        format!(r#"{{"pid":7,"offset":"{at}"}}"#),
        format!(r#"{{"pid":"{pid}","offset":7}}"#),
        format!(r#"{{"offset":"{at}"}}"#),
        format!(r#"{{"pid":"{sid}","offset":"{at}"}}"#),
    ] {
        let mut client = Ws::open(server.addr).await;
        assert_ne!(join(&mut client, &auth).await.1, pid, "{auth}");
    }
    // No attempt has consumed the session.
    let mut client = Ws::open(server.addr).await;
    let auth = format!(r#"{{"pid":"{pid}","offset":"{at}"}}"#);
    assert_eq!(join(&mut client, &auth).await, (sid, pid));
}

#[tokio::test]
async fn an_unreadable_offset_begins_a_new_session() {
    let (server, io) = server().await;
    for (offset, comes_back) in [
        ("", false),
        ("abcdef", false),
        ("abcdef-1", false),
        ("äöüx", false),
        ("abcdef99999999999999999999", false),
        ("abcdef1", true),
        ("äöü1", true),
    ] {
        let mut client = Ws::open(server.addr).await;
        let (_, pid) = join(&mut client, "").await;
        io.emit("a", ());
        let missed = client.text().await;
        drop(client);
        let mut client = Ws::open(server.addr).await;
        let auth = format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#);
        assert_eq!(
            join(&mut client, &auth).await.1 == pid,
            comes_back,
            "{offset}"
        );
        if comes_back {
            // The offset is from an earlier server, so the client has received no event of this one.
            assert_eq!(client.text().await, missed);
        }
    }
}

#[tokio::test]
async fn an_offset_that_was_never_given_makes_it_new() {
    let (server, io) = server().await;
    let mut client = Ws::open(server.addr).await;
    let (_, pid) = join(&mut client, "").await;
    io.emit("a", ());
    let at = offset(&client.text().await);
    drop(client);
    let mut client = Ws::open(server.addr).await;
    let auth = format!(r#"{{"pid":"{pid}","offset":"{at}0"}}"#);
    assert_ne!(join(&mut client, &auth).await.1, pid);
}
