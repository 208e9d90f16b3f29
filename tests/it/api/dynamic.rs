//! Namespaces that are created when a client joins one whose name matches a pattern.

use axum::extract::{MatchedPath, Path, State};
use axum::{Extension, Json, Router};
use axum_socketio::{Auth, Data, Limits, Namespace, Refused, Socket, SocketIo, SocketIoBuilder};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{Logs, Server, Ws, serve, within};

async fn of(builder: SocketIoBuilder) -> (Server, SocketIo) {
    let io = builder.build();
    (serve(Router::new().layer(io.layer())).await, io)
}

/// Returns the answer to an event in a namespace.
async fn ask(client: &mut Ws, nsp: &str, event: &str) -> String {
    client.send(&format!("42{nsp},7{event}")).await;
    let text = client.text().await;
    text.strip_prefix(&format!("43{nsp},7"))
        .unwrap_or_else(|| panic!("{event} got {text}"))
        .to_owned()
}

/// Returns the answer to a CONNECT.
async fn connect(client: &mut Ws, nsp: &str, auth: &str) -> String {
    client.send(&format!("40{nsp},{auth}")).await;
    let text = client.text().await;
    text.replace(&format!("{nsp},"), "")
}

#[tokio::test]
async fn the_parameters_of_a_name_are_arguments_of_every_handler() {
    let (told, mut tell) = mpsc::unbounded_channel();
    let (left, connected) = (told.clone(), told);
    let orders = Namespace::new()
        .middleware(async |Path((shop, order)): Path<(String, u32)>| {
            Extension(format!("{shop}/{order}"))
        })
        .on_connect(
            async move |socket: Socket, Path(params): Path<(String, u32)>| {
                connected
                    .send(format!("{} {params:?}", socket.nsp()))
                    .unwrap();
            },
        )
        .on(
            "which",
            async |Extension(key): Extension<String>, Path((_, order)): Path<(String, u32)>| {
                Json((key, order))
            },
        )
        .on_disconnect(async move |Path(params): Path<(String, u32)>| {
            left.send(format!("left {params:?}")).unwrap();
        });
    let (server, _io) = of(SocketIo::builder().namespace("/{shop}/orders-{id}", orders)).await;
    let mut client = Ws::open(server.addr).await;
    client.join("/a b/orders-17").await;
    assert_eq!(
        ask(&mut client, "/a b/orders-17", r#"["which"]"#).await,
        r#"[["a b/17",17]]"#
    );
    client.send("41/a b/orders-17,").await;
    assert_eq!(
        within("told", tell.recv()).await.unwrap(),
        r#"/a b/orders-17 ("a b", 17)"#
    );
    assert_eq!(
        within("told", tell.recv()).await.unwrap(),
        r#"left ("a b", 17)"#
    );
    let refused = connect(&mut client, "/a/orders-x", "").await;
    assert!(
        refused.starts_with(r#"44{"message":"Invalid URL: Cannot parse"#),
        "{refused}"
    );
}

#[tokio::test]
async fn parameters_of_the_route_and_of_the_name_are_one_list() {
    let namespace = Namespace::new().on("both", async |Path(both): Path<(String, u32)>| Json(both));
    let io = SocketIo::builder().namespace("/n-{n}", namespace).build();
    let app = Router::new().nest("/{tenant}", Router::new().merge(io.router()));
    let server = serve(app).await;
    let target = "/acme/socket.io/?EIO=4&transport=websocket";
    let mut client = Ws::raw(server.addr, target).await.unwrap();
    client.text().await;
    client.join("/n-5").await;
    assert_eq!(
        ask(&mut client, "/n-5", r#"["both"]"#).await,
        r#"[["acme",5]]"#
    );
}

#[tokio::test]
async fn a_middleware_says_whether_there_is_such_a_namespace() {
    async fn exists(
        Path(room): Path<String>,
        Auth(auth): Auth<Value>,
        State(rooms): State<Vec<&'static str>>,
    ) -> bool {
        rooms.contains(&room.as_str()) && auth["token"] == "ok"
    }
    let rooms = Namespace::new()
        .middleware(exists)
        .middleware(async |Path(room): Path<String>| match room.as_str() {
            "full" => Err(Refused::new("full").data(json!({ "max": 3 }))),
            _ => Ok(()),
        });
    let builder = SocketIo::builder().namespace("/rooms/{room}", rooms);
    let (server, _io) = of(builder.with_state(vec!["rust", "full"])).await;
    let mut client = Ws::open(server.addr).await;
    let ok = r#"{"token":"ok"}"#;
    for (nsp, auth, answer) in [
        ("/rooms/go", ok, r#"44{"message":"Invalid namespace"}"#),
        (
            "/rooms/rust",
            r#"{"token":1}"#,
            r#"44{"message":"Invalid namespace"}"#,
        ),
        (
            "/rooms/full",
            ok,
            r#"44{"message":"full","data":{"max":3}}"#,
        ),
        ("/rooms", ok, r#"44{"message":"Invalid namespace"}"#),
    ] {
        assert_eq!(connect(&mut client, nsp, auth).await, answer, "{nsp}");
    }
    let joined = connect(&mut client, "/rooms/rust", ok).await;
    assert!(joined.starts_with(r#"40{"sid":""#), "{joined}");
}

#[tokio::test]
async fn exact_names_win_over_patterns_and_the_first_pattern_wins() {
    let which = |name: &'static str| Namespace::new().on("which", async move || Json(name));
    let builder = SocketIo::builder()
        .namespace("/{any}", which("any"))
        .namespace("/a-{rest}", which("never"))
        .namespace("/a-b", which("itself"));
    let (server, _io) = of(builder).await;
    let mut client = Ws::open(server.addr).await;
    for (nsp, name) in [("/a-b", "itself"), ("/a-c", "any"), ("/x", "any")] {
        client.join(nsp).await;
        assert_eq!(
            ask(&mut client, nsp, r#"["which"]"#).await,
            format!("[{name:?}]")
        );
    }
}

#[tokio::test]
async fn clients_that_ask_for_one_name_are_in_one_namespace() {
    let talk = Namespace::new().on("say", async |socket: Socket, Data(text): Data<String>| {
        socket.broadcast().emit("said", text);
    });
    let (server, io) = of(SocketIo::builder().namespace("/talk-{id}", talk)).await;
    let [mut ann, mut bob, mut eve] = [
        Ws::open(server.addr).await,
        Ws::open(server.addr).await,
        Ws::open(server.addr).await,
    ];
    ann.join("/talk-1").await;
    bob.join("/talk-1").await;
    eve.join("/talk-2").await;
    ann.send(r#"42/talk-1,["say","hi"]"#).await;
    assert_eq!(bob.text().await, r#"42/talk-1,["said","hi"]"#);
    io.of("talk-2").emit("only", 2);
    assert_eq!(eve.text().await, r#"42/talk-2,["only",2]"#);
}

#[tokio::test]
async fn one_operator_reaches_all_namespaces_of_a_pattern() {
    let talk = Namespace::new().on_connect(async |socket: Socket| socket.join("all"));
    let (server, io) = of(SocketIo::builder().namespace("/talk-{id}", talk)).await;
    let mut clients = Vec::new();
    for nsp in ["/talk-1", "/talk-1", "/talk-2"] {
        let mut client = Ws::open(server.addr).await;
        client.join(nsp).await;
        clients.push((client, nsp));
    }
    let all = io.of("/talk-{id}");
    io.of("/talk-{id}").to("all").emit("news", ("x", 1));
    for (client, nsp) in &mut clients {
        assert_eq!(client.text().await, format!(r#"42{nsp},["news","x",1]"#));
    }

    let mut votes = all.emit_with_ack::<u32>("vote", ());
    for (n, (client, nsp)) in clients.iter_mut().enumerate() {
        let ask = client.text().await;
        let id = ask.strip_prefix(&format!("42{nsp},")).unwrap();
        let id = id.strip_suffix(r#"["vote"]"#).unwrap();
        client.send(&format!("43{nsp},{id}[{n}]")).await;
    }
    let mut sum = 0;
    while let Some((_, vote)) = within("a vote", votes.next()).await {
        sum += vote;
    }
    assert_eq!(
        (sum, votes.summary().asked, votes.summary().missing.len()),
        (3, 3, 0)
    );

    let sockets = all.fetch_sockets().await.unwrap();
    assert_eq!(sockets.len(), 3);
    assert!(
        sockets
            .iter()
            .all(|socket| all.socket(socket.id()).is_some())
    );
    all.disconnect();
    for (client, nsp) in &mut clients {
        assert_eq!(client.text().await, format!("41{nsp},"));
    }
}

#[tokio::test]
async fn dynamic_namespaces_end_with_their_sockets_and_are_limited() {
    let rooms = Namespace::new().middleware(async |Path(id): Path<u32>| id < 10);
    let builder = SocketIo::builder()
        .namespace("/room-{id}", rooms)
        .limits(Limits::new().max_dynamic_namespaces(2));
    let logs = Logs::collect("warn");
    let (server, io) = of(builder).await;
    let mut client = Ws::open(server.addr).await;
    // Refused namespaces do not count.
    for id in 10..20 {
        let refused = connect(&mut client, &format!("/room-{id}"), "").await;
        assert_eq!(refused, r#"44{"message":"Invalid namespace"}"#);
    }
    client.join("/room-1").await;
    client.join("/room-2").await;
    let refused = connect(&mut client, "/room-3", "").await;
    assert_eq!(refused, r#"44{"message":"Too many namespaces"}"#);
    assert_eq!(logs.with("see max_dynamic_namespaces").len(), 1);
    let mut other = Ws::open(server.addr).await;
    other.join("/room-2").await;
    client.send("41/room-1,").await;
    client.join("/room-3").await;
    // A handle to the namespace does not keep it alive.
    let operator = io.of("/room-3");
    client.send("41/room-3,").await;
    client.join("/room-4").await;
    assert_eq!(operator.count().await.unwrap(), 0);
}

#[test]
#[should_panic(expected = "{")]
fn a_pattern_that_axum_does_not_know_is_found_when_the_server_is_built() {
    let _ = SocketIo::builder()
        .namespace("/a-{b", Namespace::new())
        .build();
}

#[tokio::test]
async fn the_matched_path_is_that_of_the_handshake() {
    let matched = async |path: MatchedPath| Json(path.as_str().to_owned());
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("matched", matched))
        .namespace("/n-{id}", Namespace::new().on("matched", matched))
        .build();
    let server = serve(Router::new().merge(io.router())).await;
    let mut client = Ws::joined(server.addr).await;
    let of_root = client.ask(r#"["matched"]"#).await;
    client.join("/n-1").await;
    assert_eq!(ask(&mut client, "/n-1", r#"["matched"]"#).await, of_root);
}

#[tokio::test]
async fn an_operator_finds_the_namespace_whenever_it_is_there() {
    let (server, io) = of(SocketIo::builder().namespace("/n-{id}", Namespace::new())).await;
    let early = io.of("/n-1");
    assert!(early.emit("hey", ()).ok());
    let mut client = Ws::open(server.addr).await;
    for _ in 0..2 {
        client.join("/n-1").await;
        early.emit("hey", 1);
        assert_eq!(client.text().await, r#"42/n-1,["hey",1]"#);
        client.send("41/n-1,").await;
        client.send("40/nowhere,").await;
        client.text().await;
    }
    assert_eq!(early.count().await.unwrap(), 0);
}

#[tokio::test]
async fn the_application_sees_each_new_namespace_before_its_first_socket() {
    let (told, mut tell) = mpsc::unbounded_channel();
    let created = told.clone();
    let rooms = Namespace::new()
        .middleware(async |Path(id): Path<u32>| id < 10)
        .on_connect(async move |socket: Socket| {
            told.send(format!("joined {}", socket.nsp())).unwrap();
        });
    let builder = SocketIo::builder()
        .namespace("/room-{id}", rooms)
        .on_new_namespace(move |namespace| {
            let sockets = namespace.local_sockets().len();
            let name = namespace.name();
            created.send(format!("new {name} of {sockets}")).unwrap();
        });
    let (server, _io) = of(builder).await;
    let [mut ann, mut bob] = [Ws::open(server.addr).await, Ws::open(server.addr).await];
    ann.join("/").await;
    let refused = connect(&mut ann, "/room-99", "").await;
    assert_eq!(refused, r#"44{"message":"Invalid namespace"}"#);
    for client in [&mut ann, &mut bob] {
        client.join("/room-1").await;
    }
    bob.join("/room-2").await;
    // It ends with its last socket, and is new again.
    bob.send("41/room-2,").await;
    bob.join("/room-2").await;
    for expected in [
        "new /room-1 of 1",
        "joined /room-1",
        "joined /room-1",
        "new /room-2 of 1",
        "joined /room-2",
        "new /room-2 of 1",
        "joined /room-2",
    ] {
        assert_eq!(within("told", tell.recv()).await.unwrap(), expected);
    }
    assert!(tell.try_recv().is_err());
}

#[tokio::test]
async fn a_panic_of_the_hook_for_new_namespaces_is_counted() {
    let logs = Logs::collect("error");
    let builder = SocketIo::builder()
        .namespace("/room-{id}", Namespace::new())
        .on_new_namespace(|_| panic!("oh"));
    let (server, io) = of(builder).await;
    let mut client = Ws::open(server.addr).await;
    client.join("/room-1").await;
    assert_eq!(io.metrics().hook_panics["on_new_namespace"], 1);
    assert_eq!(logs.with("hook panicked").len(), 1);
}
