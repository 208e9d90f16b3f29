//! The examples do what their headers say. The chat is driven by the real clients, in a browser.

use tokio::net::TcpListener;

use crate::support::{Ended, Http, Server, WEBSOCKET, Ws, handshake, serve};

/// A program as a module: its `main` is not called.
macro_rules! example {
    ($name:ident, $path:literal) => {
        #[allow(dead_code, reason = "the program's main")]
        #[path = $path]
        mod $name;
    };
}

example!(auth, "../../examples/auth.rs");
example!(echo, "../../examples/echo.rs");
example!(graceful_shutdown, "../../examples/graceful-shutdown.rs");
example!(hyper_only, "../../examples/hyper-only.rs");
#[cfg(feature = "metrics")]
example!(metrics_page, "../../examples/metrics/main.rs");
example!(todo, "../../examples/todo-shared-handlers.rs");
example!(tower_layers, "../../examples/tower-layers.rs");
#[cfg(feature = "macros")]
example!(typed_events, "../../examples/typed-events.rs");

impl Server {
    async fn post(&self, target: &str, json: &str) -> (u16, String) {
        let mut http = Http::open(self.addr).await;
        let json_type = [("Content-Type", "application/json")];
        let answer = http.ask("POST", target, &json_type, json.as_bytes()).await;
        (answer.status, answer.text().to_owned())
    }
}

#[tokio::test]
async fn echo_answers_with_what_it_was_sent() {
    let server = serve(echo::app().0).await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(
        client.ask(r#"["echo",1,{"a":[null]}]"#).await,
        r#"[1,{"a":[null]}]"#
    );
}

#[tokio::test]
async fn todo_is_one_function_for_two_transports() {
    let server = serve(todo::app().0).await;
    let mut client = Ws::joined(server.addr).await;

    let milk = r#"{"id":1,"text":"milk"}"#;
    let created = server.post("/todos", r#"{"text":"milk"}"#).await;
    assert_eq!(created, (201, milk.to_owned()));
    assert_eq!(client.text().await, format!(r#"42["todo:created",{milk}]"#));

    let bread = r#"{"id":2,"text":"bread"}"#;
    client.send(r#"427["todo:create",{"text":"bread"}]"#).await;
    assert_eq!(
        client.text().await,
        format!(r#"42["todo:created",{bread}]"#)
    );
    assert_eq!(client.text().await, format!("437[{bread}]"));

    let error = r#"{"error":"a todo needs a text"}"#;
    let refused = server.post("/todos", r#"{"text":" "}"#).await;
    assert_eq!(refused, (422, error.to_owned()));
    assert_eq!(
        client.ask(r#"["todo:create",{"text":" "}]"#).await,
        format!("[{error}]")
    );

    let all = format!("[{milk},{bread}]");
    assert_eq!(client.ask(r#"["todo:list"]"#).await, format!("[{all}]"));
    assert_eq!(
        Http::once(server.addr, "GET", "/todos").await.brief(),
        (200, all.as_str())
    );
}

#[tokio::test]
async fn auth_takes_a_token() {
    let server = serve(auth::app().0).await;
    let mut client = Ws::open(server.addr).await;
    client.send(r#"40/token,{"token":"ann-wrong"}"#).await;
    assert_eq!(
        client.text().await,
        r#"44/token,{"message":"not authorized","data":{"code":"bad_token"}}"#
    );
    client.send(r#"40/token,{"token":"ann-secret"}"#).await;
    assert!(client.text().await.starts_with(r#"40/token,{"sid":"#));
    client.send(r#"42/token,1["whoami"]"#).await;
    assert_eq!(client.text().await, r#"43/token,1[{"name":"ann"}]"#);
    client.send(r#"42/token,2["renew","ann-wrong"]"#).await;
    assert!(client.text().await.contains("not authorized"));
    client.send(r#"42/token,3["renew","ann-secret"]"#).await;
    assert_eq!(client.text().await, "43/token,3[]");
}

#[tokio::test]
async fn auth_shares_the_session_of_an_http_login() {
    let server = serve(auth::app().0).await;
    let mut stranger = Ws::open(server.addr).await;
    stranger.send("40/session,").await;
    assert!(stranger.text().await.starts_with("44/session,"));

    let login = Http::once(server.addr, "POST", "/login/ann").await;
    assert_eq!(login.status, 204);
    let cookie = login.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let (answer, http) = handshake(server.addr, WEBSOCKET, &[("Cookie", cookie)]).await;
    let mut client = Ws::on(answer, http).unwrap();
    assert!(client.text().await.starts_with('0'));
    client.send("40/session,").await;
    assert!(client.text().await.starts_with(r#"40/session,{"sid":"#));
    client.send(r#"42/session,1["whoami"]"#).await;
    assert_eq!(client.text().await, r#"43/session,1[{"name":"ann"}]"#);
}

#[tokio::test]
async fn tower_layers_limit_one_event() {
    let server = serve(tower_layers::app().0).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Ws::joined(server.addr).await);
    }
    let mut searches = clients.iter_mut();
    let (first, second) = (searches.next().unwrap(), searches.next().unwrap());
    first.send(r#"421["search","a"]"#).await;
    second.send(r#"421["search","b"]"#).await;
    // The order of the three depends on the server's threads.
    let third = searches.next().unwrap();
    third.send(r#"421["search","c"]"#).await;
    let mut overloaded = 0;
    for client in [first, second, third] {
        match client.text().await.as_str() {
            r#"431[{"error":"overloaded"}]"# => overloaded += 1,
            found => assert!(found.starts_with(r#"431[["something about "#), "{found}"),
        }
    }
    assert_eq!(overloaded, 1);
}

#[tokio::test]
async fn tower_layers_limit_the_time_of_all_events() {
    let server = serve(tower_layers::app().0).await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(
        client.ask(r#"["slow"]"#).await,
        r#"[{"error":"timed out"}]"#
    );
}

#[tokio::test]
async fn graceful_shutdown_waits_for_its_handlers() {
    let (app, io) = graceful_shutdown::app();
    let server = serve(app).await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(Http::once(server.addr, "GET", "/readyz").await.status, 200);

    // A second event shows that the first one's handler has started.
    client.send(r#"421["save"]"#).await;
    client.ask(r#"["nothing"]"#).await;
    let drained = io.graceful(std::future::ready(()));
    let drained = tokio::spawn(drained);
    assert_eq!(
        client.ended().await,
        Ended {
            texts: vec![r#"431["saved"]"#.to_owned()],
            close: Some(None)
        }
    );
    assert_eq!(Http::once(server.addr, "GET", "/readyz").await.status, 503);
    drained.await.unwrap();
}

#[tokio::test]
async fn hyper_only_serves_without_axum() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let served = tokio::spawn(hyper_only::listen(listener, std::future::pending()));
    let mut client = Ws::joined(addr).await;
    assert_eq!(client.ask(r#"["add",1,2]"#).await, "[3]");
    assert_eq!(Http::once(addr, "GET", "/").await.status, 404);
    served.abort();
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn metrics_are_scraped_and_drawn() {
    use metrics_exporter_prometheus::PrometheusBuilder;

    let recorder = PrometheusBuilder::new().build_recorder();
    // The recorder is that of this thread, on which the server runs too.
    let _recorder = ::metrics::set_default_local_recorder(&recorder);
    let server = serve(metrics_page::app(recorder.handle()).0).await;
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(client.ask(r#"["message","hello"]"#).await, "[5]");
    assert_eq!(
        client.ask(r#"["save"]"#).await,
        r#"[{"error":"disk full"}]"#
    );
    client.ask(r#"["crash"]"#).await;
    client.ask(r#"["message",5]"#).await;

    let answer = Http::once(server.addr, "GET", "/metrics").await;
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    for line in [
        "chat_characters_total 5",
        "socketio_events_received_total 4",
        "socketio_handler_errors_total 1",
        "socketio_handler_panics_total 1",
        "socketio_events_rejected_total 1",
        r#"socketio_sockets{namespace="/"} 1"#,
    ] {
        let text = answer.text();
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // All metrics in the drawings exist.
    let page = Http::once(server.addr, "GET", "/").await;
    let grafana = include_str!("../../examples/metrics/grafana.json");
    let drawn = [page.text(), grafana].concat();
    let words = drawn.split(|c: char| c != '_' && !c.is_alphanumeric());
    let names: Vec<_> = words.filter(|word| word.starts_with("socketio_")).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let name = name.trim_end_matches("_bucket");
        assert!(answer.text().contains(&format!("# TYPE {name} ")), "{name}");
    }
}

#[cfg(feature = "macros")]
#[tokio::test]
async fn typed_events_reach_the_room() {
    let server = serve(typed_events::app().0).await;
    let mut clients = Vec::new();
    for present in 1..=2 {
        let mut client = Ws::open(server.addr).await;
        client.join("/chat").await;
        assert_eq!(client.text().await, r#"42/chat,["welcome"]"#);
        client.send(r#"42/chat,1["enter","lobby"]"#).await;
        assert_eq!(client.text().await, format!("43/chat,1[{present}]"));
        clients.push(client);
    }
    clients[0].send(r#"42/chat,2["say","lobby","hello"]"#).await;
    assert_eq!(clients[0].text().await, r#"43/chat,2[{"length":5}]"#);
    let said = clients[1].text().await;
    assert!(said.starts_with(r#"42/chat,["said",{"from":""#), "{said}");
    assert!(said.ends_with(r#"","text":"hello"}]"#), "{said}");
}
