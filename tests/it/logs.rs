//! Log records that clients can cause: their number is limited, and clients cannot forge them.

use axum::http::StatusCode;
use axum::{Json, Router};
use axum_socketio::{Auth, Data, Limits, Namespace, Refused, Socket, SocketIo};

use crate::support::{Http, Logs, POLLING, Ws, echo, serve, until};

/// Creates a namespace in which a client joins the rooms that it names.
fn rooms() -> Namespace {
    Namespace::new()
        .on(
            "join",
            async |socket: Socket, Data(rooms): Data<Vec<String>>| {
                socket.join(rooms);
                Json(())
            },
        )
        .on("panic", async || -> Json<()> { panic!("on purpose") })
}

#[tokio::test]
async fn refused_joins_are_logged_up_to_a_limit() {
    let logs = Logs::collect("warn");
    let io = SocketIo::builder()
        .namespace("/", rooms())
        .limits(Limits::new().max_rooms(1))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    let rooms: Vec<_> = (0..2001).map(|n| format!("\"{n}\"")).collect();
    for _ in 0..10 {
        ws.ask(&format!(r#"["join",[{}]]"#, rooms.join(","))).await;
    }
    let limit = "see max_log_records_per_connection";
    assert_eq!(logs.with("room not joined").len(), 10);
    assert_eq!(logs.with(limit).len(), 1, "{:?}", logs.records());
    assert_eq!(io.metrics().logs_left_out, 20_000 - 10);
    // Another connection has its own limit.
    let mut other = Ws::joined(server.addr).await;
    other.ask(r#"["join",["a","b"]]"#).await;
    assert_eq!(logs.with("room not joined").len(), 11);
    // The number of records that were left out is logged at the end.
    ws.close().await;
    ws.ended().await;
    assert_eq!(logs.with("left_out=19990").len(), 1, "{:?}", logs.records());
}

#[tokio::test]
async fn refused_requests_leave_room_for_other_records() {
    let logs = Logs::collect("warn");
    let io = SocketIo::builder()
        .namespace("/", rooms())
        .limits(Limits::new().max_rooms(1).max_log_records(20))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    // HTTP/1.0 has no upgrade.
    let request = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.0\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for _ in 0..30 {
        let mut http = Http::open(server.addr).await;
        http.send(request.as_bytes()).await;
        assert_eq!(http.answer(false).await.status, 400);
    }
    assert_eq!(logs.with("does not let connections be upgraded").len(), 10);
    assert_eq!(io.metrics().logs_left_out, 20);
    let mut ws = Ws::joined(server.addr).await;
    ws.ask(r#"["join",["a","b"]]"#).await;
    assert_eq!(logs.with("room not joined").len(), 1);
}

#[tokio::test]
async fn all_connections_together_log_up_to_a_limit() {
    let logs = Logs::collect("warn");
    let io = SocketIo::builder()
        .namespace("/", rooms())
        .limits(
            Limits::new()
                .max_rooms(1)
                .max_log_records(5)
                .max_log_records_per_connection(2),
        )
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut ws = Ws::joined(server.addr).await;
        ws.ask(r#"["join",["a","b","c","d"]]"#).await;
        clients.push(ws);
    }
    // The first connection has logged two refusals and a notice, the second one two refusals.
    assert_eq!(logs.with("room not joined").len(), 4);
    assert_eq!(logs.with("see max_log_records").len(), 1 + 1);
    assert_eq!(logs.records().len(), 6, "{:?}", logs.records());
    // A notice that is left out is not counted.
    assert_eq!(io.metrics().logs_left_out, 20 * 3 - 4);
    // The fault of another client is logged all the same.
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"42["panic"]"#).await;
    until("the panic is logged", || {
        !logs.with("handler panicked").is_empty()
    })
    .await;
}

/// The text of a client that would forge a record, or change the terminal.
const FORGED: &str = "x\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[31m\u{85}\u{2028}";

/// Returns [`FORGED`] as JSON.
fn forged() -> String {
    serde_json::to_string(FORGED).unwrap()
}

#[tokio::test]
async fn no_text_of_a_client_begins_a_line_of_the_log() {
    #[derive(serde::Deserialize)]
    enum Choice {
        A,
    }

    let logs = Logs::collect("trace");
    let (namespace, _) = echo();
    let namespace = namespace
        .on("enum", async |Data(_choice): Data<Choice>| {})
        .on("fail", async |Data(text): Data<String>| {
            let failed: Result<(), _> = Err((StatusCode::INTERNAL_SERVER_ERROR, text));
            failed
        })
        .on("refuse", async |Data(text): Data<String>| {
            let failed: Result<(), _> = Err((StatusCode::BAD_REQUEST, text));
            failed
        })
        .on("json", async |Data(text): Data<String>| {
            let failed: Result<(), _> = Err((StatusCode::BAD_GATEWAY, Json(text)));
            failed
        })
        .on("panic", async |Data(text): Data<String>| -> () {
            panic!("{text}")
        })
        .on("join", async |socket: Socket, Data(room): Data<String>| {
            socket.join(room.repeat(100));
        })
        .on("ask", async |socket: Socket| {
            let _ = socket.emit_with_ack::<u8>("question", ()).await;
        })
        .on("leave", async |socket: Socket, Data(text): Data<String>| {
            let _ = socket.close(4000, &text);
        });
    let refuses = Namespace::new().middleware(async |Auth(auth): Auth<serde_json::Value>| {
        let refused: Result<(), _> = Err(Refused::new(auth["text"].as_str().unwrap()));
        refused
    });
    let dynamic = Namespace::new().on("join", async |socket: Socket, Data(room): Data<String>| {
        socket.to("x").join(room.repeat(100));
    });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .namespace("/refuses", refuses)
        .namespace("/room-{id}", dynamic)
        .origins(["https://app.example.com"])
        .build();
    let server = serve(Router::new().layer(io.layer())).await;

    let mut ws = Ws::joined(server.addr).await;
    let text = forged();
    for event in ["enum", "fail", "refuse", "json", "panic", "join", "nobody"] {
        ws.send(&format!(r#"421["{event}",{text}]"#)).await;
        ws.text().await;
    }
    // Names of events and namespaces, auth, and acknowledgements of the wrong type.
    ws.send(&format!("42[{text}]")).await;
    ws.send(&format!("40/{FORGED},")).await;
    ws.text().await;
    ws.send(&format!(r#"40/refuses,{{"text":{text}}}"#)).await;
    ws.text().await;
    ws.send(&format!("40/room-{FORGED},")).await;
    ws.text().await;
    ws.send(&format!(r#"42/room-{FORGED},["join",{text}]"#))
        .await;
    ws.send(r#"42["ask"]"#).await;
    assert_eq!(ws.text().await, r#"420["question"]"#);
    ws.send(&format!("430[{text}]")).await;
    ws.alive().await;
    // A message that breaks the protocol, and a reason to close.
    ws.send(&format!("42[{text} {FORGED}")).await;
    ws.ended().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(&format!("9{FORGED}")).await;
    ws.ended().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(&format!(r#"42["leave",{text}]"#)).await;
    ws.ended().await;
    // The parts of a request.
    let mut http = Http::open(server.addr).await;
    let forged = "a%0A2026%20ERROR%20forged%1B";
    for query in [
        format!("transport={forged}&EIO=4"),
        format!("transport=polling&EIO={forged}"),
        format!("transport=polling&EIO=4&sid={forged}"),
    ] {
        http.ask("GET", &format!("/socket.io/?{query}"), &[], b"")
            .await;
    }
    // A tab is the only control character that a header may contain.
    let origin = [("Origin", "https://x\t2026 ERROR forged")];
    let answer = http.ask("GET", POLLING, &origin, b"").await;
    assert_eq!(answer.status, 403);

    let records = logs.records();
    assert!(records.len() > 30, "{records:#?}");
    for record in records {
        let line = record.strip_suffix('\n').unwrap();
        let odd = line.find(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
        assert_eq!(odd, None, "{record:?}");
    }
}

#[tokio::test]
async fn panics_in_handlers_are_logged_up_to_a_limit() {
    let logs = Logs::collect("error");
    let namespace = Namespace::new().on("panic", async || -> () { panic!("on purpose") });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    for _ in 0..50 {
        ws.ask(r#"["panic"]"#).await;
    }
    assert_eq!(logs.with("handler panicked").len(), 10);
    assert_eq!(io.metrics().handler_panics, 50);
}

/// Types whose `Display` contains only characters that the server chooses.
const PLAIN: [&str; 12] = [
    "%cx.socket().id()",
    "%socket",
    "%self.id()",
    "%id",
    "%member.id",
    "%status",
    "%reason",
    "%self.client.sid",
    "%entry.client.sid",
    "%client.sid",
    "%sid",
    "%refusal",
];

/// Returns the calls of `tracing`'s macros in a source.
fn calls(source: &str) -> Vec<&str> {
    let levels = [
        "trace!(", "debug!(", "info!(", "warn!(", "error!(", "span!(",
    ];
    let begins = source
        .match_indices("tracing::")
        .map(|(at, _)| &source[at..]);
    begins
        .filter(|call| {
            levels
                .iter()
                .any(|level| call[..call.find('(').map_or(0, |at| at + 1)].ends_with(level))
        })
        .map(|call| {
            &call[..call
                .find(");")
                .or(call.find(")\n"))
                .or(call.find("),"))
                .unwrap()]
        })
        .collect()
}

#[test]
fn text_of_a_peer_is_never_logged_by_display() {
    fn sources(dir: &std::path::Path, all: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else {
                all.push(path);
            }
        }
    }

    let mut files = Vec::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root, &mut files);
    let mut checked = 0;
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        for call in calls(&source) {
            checked += 1;
            let (_, fields) = call.split_once('(').unwrap();
            for shown in fields.match_indices('%').map(|(at, _)| &fields[at..]) {
                let plain = PLAIN.iter().any(|plain| shown.starts_with(plain));
                assert!(plain, "{}: {call}", file.display());
            }
            // The formatter writes a field of this name without escaping it.
            let mut fields = fields.split(',').map(str::trim);
            let name = |field: &str| field.split(['=', ' ']).next() == Some("message");
            assert!(
                !fields.any(|field| name(field.trim_start_matches(['?', '%']))),
                "{}: {call}",
                file.display()
            );
        }
    }
    assert!(checked > 40, "{checked}");
}
