//! Broadcasts to many members, which are not written by each connection's own task.

use std::sync::{Arc, Barrier};

use axum::Router;
use axum_socketio::config::Recovery;
use axum_socketio::{Data, Limits, Namespace, Socket, SocketIo, SocketIoBuilder};
use futures_util::future::join_all;

use crate::support::{Server, Ws, serve, within};

/// Starts a server with this number of clients in the room `all`.
async fn room(
    members: usize,
    set: impl FnOnce(SocketIoBuilder) -> SocketIoBuilder,
) -> (Server, SocketIo, Vec<Ws>) {
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| socket.join("all"))
        .on("again", async |io: SocketIo, Data(n): Data<u32>| {
            io.to("all").emit("n", n);
        })
        .on("alive", async |socket: Socket| {
            socket.emit("alive", ());
        });
    let io = set(SocketIo::builder().namespace("/", namespace)).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut clients = Vec::new();
    for _ in 0..members {
        let mut client = Ws::joined(server.addr).await;
        // The connect handler has run, and the task sleeps.
        client.send(r#"42["alive"]"#).await;
        assert_eq!(client.text().await, r#"42["alive"]"#);
        clients.push(client);
    }
    (server, io, clients)
}

/// Reads the numbers of each sender that a client receives, and checks their order.
async fn numbers(client: &mut Ws, senders: usize, each: usize) {
    let mut next = vec![0; senders];
    for _ in 0..senders * each {
        let text = client.text_but_pings().await;
        // The prefix of an event with an attachment has the number of attachments and a hyphen.
        let text = text.replace("451-", "42");
        let json = text.strip_prefix(r#"42["n","#).unwrap();
        let (sender, number) = json.split_once(',').unwrap();
        let (number, _) = number.split_once(',').unwrap();
        let next = &mut next[sender.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<usize>().unwrap(), *next);
        if *next % 10 == 9 {
            client.binary().await;
        }
        *next += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn broadcasts_of_several_threads_arrive_in_the_order_of_each() {
    const SENDERS: usize = 4;
    const EACH: usize = 150;
    let limits = |builder: SocketIoBuilder| {
        let builder = builder.limits(Limits::new().max_outbox_packets(100_000));
        builder.limits(Limits::new().max_outbox_bytes(100_000_000))
    };
    let (_server, io, mut clients) = room(100, limits).await;
    let senders = (0..SENDERS).map(|sender| {
        let io = io.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                // Some events exceed a single write, and some have attachments.
                let filling = "x".repeat(number * number % 5_000);
                if number % 10 == 9 {
                    let data = bytes::Bytes::from(filling);
                    let data = axum_socketio::extract::Binary::from(data);
                    io.to("all").emit("n", (sender, number, data));
                } else {
                    io.to("all").emit("n", (sender, number, filling));
                }
                if number % 3 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    let senders = join_all(senders);
    // The last clients start to read when the first ones have received everything.
    let (first, last) = clients.split_at_mut(90);
    let read = async {
        join_all(
            first
                .iter_mut()
                .map(|client| numbers(client, SENDERS, EACH)),
        )
        .await;
        join_all(last.iter_mut().map(|client| numbers(client, SENDERS, EACH))).await;
    };
    within("all", futures_util::future::join(senders, read)).await;
    // Each client has received one event of its own before.
    let deliveries = clients.len() * (SENDERS * EACH + 1);
    assert_eq!(io.metrics().deliveries, deliveries as u64);
}

/// Runs threads that broadcast at the same time, in rounds. Returns the events that each client receives.
async fn races(namespace: Namespace) -> Vec<Vec<String>> {
    const THREADS: usize = 4;
    const ROUNDS: usize = 250;
    let namespace = namespace.on_connect(async |socket: Socket| {
        socket.join("all");
        socket.emit("ready", ());
    });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_packets(100_000))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut clients = Vec::new();
    // Few members are woken individually, many are written by one task: both ways must preserve the order.
    for _ in 0..12 {
        let mut client = Ws::joined(server.addr).await;
        assert!(client.text().await.starts_with(r#"42["ready""#));
        clients.push(client);
    }
    let barrier = Arc::new(Barrier::new(THREADS));
    let senders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (io, barrier) = (io.clone(), Arc::clone(&barrier));
            // Some threads have no runtime.
            tokio::task::spawn_blocking(move || {
                for round in 0..ROUNDS {
                    barrier.wait();
                    match (round + thread) % 4 {
                        0 => drop(io.emit("n", (thread, round))),
                        1 => drop(io.to(["all", "elsewhere"]).emit("n", (thread, round))),
                        2 => drop(io.to("all").emit_with_ack::<()>("n", (thread, round))),
                        _ => drop(io.to("all").emit("n", (thread, round))),
                    }
                }
            })
        })
        .collect();
    let read = clients.iter_mut().map(async |client| {
        let mut all = Vec::new();
        while all.len() < THREADS * ROUNDS {
            let text = client.text_but_pings().await;
            all.push(text.split_once('[').unwrap().1.to_owned());
        }
        all
    });
    let received = within("all", join_all(read)).await;
    within("the threads", join_all(senders)).await;
    received
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ordered_broadcasts_arrive_in_one_order_everywhere() {
    for namespace in [
        Namespace::new().ordered_broadcasts(),
        Namespace::new()
            .ordered_broadcasts()
            .recovery(Recovery::new()),
        Namespace::new()
            .ordered_broadcasts()
            .on_any_outgoing(|_| {}),
    ] {
        let received = races(namespace).await;
        // The offset of recovery is the last argument for all clients.
        for (client, all) in received.iter().enumerate() {
            let other = received[0].iter().zip(all).position(|(a, b)| a != b);
            let seen = other.map(|at| (&received[0][at..][..3], &all[at..][..3]));
            assert_eq!(seen, None, "client {client}");
        }
    }
}

#[tokio::test]
async fn a_hook_that_broadcasts_does_not_wait_for_the_broadcast_that_it_sees() {
    let io = SocketIo::handle();
    let again = io.clone();
    let namespace = Namespace::new()
        .ordered_broadcasts()
        .on_any_outgoing(move |outgoing| {
            if outgoing.event == "n" {
                again.emit("again", ());
            }
        });
    let builder = SocketIo::builder().namespace("/", namespace);
    let io = builder.build_into(io);
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    io.emit("n", 1);
    assert_eq!(client.text().await, r#"42["again"]"#);
    assert_eq!(client.text().await, r#"42["n",1]"#);
    drop(io.of("/").emit_with_ack::<()>("n", 2));
    assert_eq!(client.text().await, r#"42["again"]"#);
}

#[tokio::test]
async fn a_client_that_does_not_read_delays_no_other_client() {
    let limits =
        |builder: SocketIoBuilder| builder.limits(Limits::new().max_outbox_bytes(100_000_000));
    let (_server, io, mut clients) = room(20, limits).await;
    let filling = "x".repeat(16_000);
    let mut slow = clients.pop().unwrap();
    for number in 0..500 {
        io.to("all").emit("n", (0, number, &filling));
        for client in &mut clients {
            let text = client.text().await;
            assert!(text.starts_with(&format!(r#"42["n",0,{number},"#)));
        }
    }
    for number in 0..500 {
        let text = slow.text().await;
        assert!(text.starts_with(&format!(r#"42["n",0,{number},"#)));
        assert_eq!(
            text.len(),
            filling.len() + format!(r#"42["n",0,{number},""]"#).len()
        );
    }
    slow.send(r#"42["alive"]"#).await;
    assert_eq!(slow.text().await, r#"42["alive"]"#);
}

#[tokio::test]
async fn a_burst_in_one_handler_and_one_of_several_handlers_arrive_in_order() {
    let (_server, io, mut clients) = room(30, |builder| builder).await;
    let ask: Vec<_> = (0..10).map(|n| format!(r#"42["again",{n}]"#)).collect();
    let ask: Vec<_> = ask.iter().map(String::as_str).collect();
    clients[0].send_all(&ask).await;
    for client in &mut clients {
        for n in 0..10 {
            assert_eq!(client.text().await, format!(r#"42["n",{n}]"#));
        }
    }
    for n in 0..10 {
        io.emit("n", n);
    }
    for client in &mut clients {
        for n in 0..10 {
            assert_eq!(client.text().await, format!(r#"42["n",{n}]"#));
        }
    }
}

#[tokio::test]
async fn a_thread_without_a_runtime_may_emit_to_many() {
    let (_server, io, mut clients) = room(200, |builder| builder).await;
    let emitted = std::thread::spawn({
        let io = io.clone();
        move || io.emit("n", 1).ok()
    });
    assert!(emitted.join().unwrap());
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",1]"#);
    }
}

#[tokio::test]
async fn a_runtime_that_ends_at_once_may_emit_to_many() {
    let (_server, io, mut clients) = room(20, |builder| builder).await;
    let emitted = std::thread::spawn({
        let io = io.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            // The runtime ends before any other task of it runs.
            runtime.unwrap().block_on(async { io.emit("n", 1).ok() })
        }
    });
    assert!(emitted.join().unwrap());
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",1]"#);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emit_is_not_delayed_by_block_in_place() {
    let (_server, io, mut clients) = room(20, |builder| builder).await;
    let (heard, blocked) = std::sync::mpsc::channel();
    let emitting = tokio::spawn(async move {
        io.to("all").emit("n", 1);
        tokio::task::block_in_place(|| blocked.recv().unwrap());
    });
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",1]"#);
    }
    heard.send(()).unwrap();
    within("the end", emitting).await.unwrap();
}

/// A test with a job on a runtime of its own, which runs nothing but the job.
#[tokio::test]
async fn a_runtime_that_runs_nothing_now_holds_up_nobody() {
    let (_server, io, mut clients) = room(20, |builder| builder).await;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (emitted, has_emitted) = tokio::sync::oneshot::channel();
    let job = std::thread::spawn({
        let io = io.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.unwrap();
            runtime.block_on(async { io.to("all").emit("n", 0) });
            emitted.send(()).unwrap();
            let _ = stopped.recv();
        }
    });
    has_emitted.await.unwrap();
    io.to("all").emit("n", 1);
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",0]"#);
        assert_eq!(client.text().await, r#"42["n",1]"#);
    }
    drop(stop);
    job.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_thread_that_is_busy_holds_up_nobody() {
    let (_server, io, mut clients) = room(20, |builder| builder).await;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // The thread is busy after its own broadcast, and then while another task broadcasts.
    let busy = tokio::spawn({
        let io = io.clone();
        async move {
            io.to("all").emit("n", 0);
            let _ = stopped.recv();
        }
    });
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",0]"#);
    }
    let io = io.clone();
    tokio::spawn(async move { io.to("all").emit("n", 1).ok() });
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",1]"#);
    }
    drop(stop);
    within("the end", busy).await.unwrap();
}

#[tokio::test]
async fn a_thread_that_ends_with_its_runtime_may_emit_to_many() {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().unwrap();
    }
    let (_server, io, mut clients) = room(20, |builder| builder).await;
    let emitted = std::thread::spawn({
        let io = io.clone();
        move || RUNTIME.with(|runtime| runtime.block_on(async { io.emit("n", 0).ok() }))
    });
    assert!(emitted.join().unwrap());
    io.emit("n", 1);
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",0]"#);
        assert_eq!(client.text().await, r#"42["n",1]"#);
    }
}

#[tokio::test]
async fn a_waker_that_panics_concerns_no_other() {
    struct Panics;

    impl std::task::Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("on purpose");
        }
    }

    let limits = |builder: SocketIoBuilder| builder.limits(Limits::new().max_outbox_packets(4));
    let (_server, io, mut clients) = room(20, limits).await;
    for n in 0..3 {
        io.emit("n", n);
    }
    let sockets: Vec<_> = io.of("/").fetch_sockets().await.unwrap();
    let socket = io.socket(sockets[0].id()).unwrap();
    let mut flushed = Box::pin(async move { socket.flushed().await });
    let waker = std::sync::Arc::new(Panics).into();
    let cx = &mut std::task::Context::from_waker(&waker);
    assert!(flushed.as_mut().poll(cx).is_pending());
    for client in &mut clients {
        for n in 0..3 {
            assert_eq!(client.text().await, format!(r#"42["n",{n}]"#));
        }
    }
    io.emit("n", 3);
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",3]"#);
    }
    drop(flushed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_outgoing_hook_delays_no_other_broadcast() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let stopped = std::sync::Mutex::new(stopped);
    let namespace =
        Namespace::new().on_any_outgoing(move |outgoing: &axum_socketio::handler::Outgoing<'_>| {
            if outgoing.event == "slow" {
                let _ = stopped.lock().unwrap().recv();
            }
        });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Ws::joined(server.addr).await);
    }
    let slow = tokio::task::spawn_blocking({
        let io = io.clone();
        move || io.emit("slow", 1).ok()
    });
    tokio::task::yield_now().await;
    io.emit("n", 1);
    for client in &mut clients {
        assert_eq!(client.text().await, r#"42["n",1]"#);
    }
    drop(stop);
    assert!(within("the end", slow).await.unwrap());
}
