//! Servers that share a Redis Cluster, which the tests start and stop.

use std::collections::HashSet;
use std::time::Duration;

use axum_socketio::SocketIo;
use axum_socketio::cluster::HealthState;
use axum_socketio::testing::TestClient;
use axum_socketio_redis::{Redis, RedisConnectError, Streams, SubscriptionMode};
use tokio::time::{sleep, timeout};

use crate::engine::{Engine, free_port};
use crate::log::Log;
use crate::two_servers::{self, SOON, act_as_one, becomes, connect, last_events_arrive};

const DYNAMIC: SubscriptionMode = SubscriptionMode::Dynamic;

/// A Redis Cluster: three masters, and replicas of the first ones.
struct RedisCluster {
    nodes: Vec<Engine>,
}

impl RedisCluster {
    async fn start(replicas: usize) -> Self {
        let mut nodes = Vec::new();
        let mut bus = Vec::new();
        for _ in 0..3 + replicas {
            let port = free_port();
            bus.push(port);
            let words = format!(
                "--cluster-enabled yes --cluster-node-timeout 1500 --cluster-port {port} \
                 --cluster-require-full-coverage no --cluster-allow-replica-migration no"
            );
            let words = words.split_whitespace().map(str::to_owned).collect();
            nodes.push(Engine::start_with(|_| words).await);
        }
        let cluster = Self { nodes };
        cluster.form(&bus).await;
        cluster
    }

    async fn form(&self, bus: &[u16]) {
        for (number, node) in self.nodes.iter().enumerate() {
            let epoch = (number + 1).to_string();
            let words = ["CLUSTER", "SET-CONFIG-EPOCH", &epoch];
            let _: String = node.command(&words).await;
            let slots = ["0 5460", "5461 10922", "10923 16383"].get(number);
            if let Some((first, last)) = slots.and_then(|slots| slots.split_once(' ')) {
                let words = ["CLUSTER", "ADDSLOTSRANGE", first, last];
                let _: String = node.command(&words).await;
            }
            let (port, bus) = (node.port.to_string(), bus[number].to_string());
            let words = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
            let _: String = self.nodes[0].command(&words).await;
        }
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        self.all_say(&["cluster_state:ok", &known]).await;
        for (replica, master) in self.nodes[3..].iter().zip(&self.nodes) {
            let id: String = master.command(&["CLUSTER", "MYID"]).await;
            let _: String = replica.command(&["CLUSTER", "REPLICATE", &id]).await;
            let linked = async {
                while !({ replica.command::<String>(&["INFO", "replication"]).await })
                    .contains("master_link_status:up")
                {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(SOON, linked).await.expect("the replica follows");
        }
    }

    /// Waits until all servers know of a state.
    async fn all_say(&self, texts: &[&str]) {
        for node in &self.nodes {
            let said = async {
                loop {
                    let info: String = node.command(&["CLUSTER", "INFO"]).await;
                    if texts.iter().all(|text| info.contains(text)) {
                        break;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(SOON, said).await.expect("the cluster forms");
        }
    }

    fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes[1..3]
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("redis+cluster://{}/", hosts.join(","))
    }

    async fn server(&self, mode: SubscriptionMode) -> SocketIo {
        let redis = Redis::connect(&self.url()).await.unwrap().sharded(mode);
        let redis = redis.release_rooms_after(Duration::from_millis(100));
        two_servers::server(redis)
    }

    /// Returns the number of channels with subscribers, of all servers.
    async fn channels(&self) -> usize {
        let mut channels = HashSet::new();
        for node in &self.nodes {
            channels.extend(
                node.command::<Vec<String>>(&["PUBSUB", "SHARDCHANNELS"])
                    .await,
            );
        }
        channels.len()
    }

    async fn subscriptions(&self, count: usize) {
        let subscribed = async {
            while self.channels().await != count {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(SOON, subscribed).await.is_err() {
            panic!("{} are not {count} channels", self.channels().await);
        }
    }

    async fn kill_subscriptions(&self) {
        for node in &self.nodes[..3] {
            let _: usize = node.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        }
    }

    /// Returns the number of the master of a room of the main namespace.
    async fn master_of(&self, room: &str) -> usize {
        match self.slot_of(room).await {
            ..=5460 => 0,
            5461..=10922 => 1,
            _ => 2,
        }
    }

    /// Gives the slot of a room to the next master, as the tools of Redis do.
    async fn move_slot_of(&self, room: &str) {
        let from = self.master_of(room).await;
        let to = (from + 1) % 3;
        let slot = self.slot_of(room).await.to_string();
        let from_id: String = self.nodes[from].command(&["CLUSTER", "MYID"]).await;
        let to_id: String = self.nodes[to].command(&["CLUSTER", "MYID"]).await;
        let set = ["CLUSTER", "SETSLOT", &slot];
        let importing = [&set[..], &["IMPORTING", &from_id]].concat();
        let _: String = self.nodes[to].command(&importing).await;
        for node in [to, from, (from + 2) % 3] {
            let words = [&set[..], &["NODE", &to_id]].concat();
            let _: String = self.nodes[node].command(&words).await;
        }
    }

    async fn slot_of(&self, room: &str) -> u16 {
        let channel = format!("socket.io#/#{room}#");
        let words = ["CLUSTER", "KEYSLOT", &channel];
        self.nodes[2].command(&words).await
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("room {number}")).collect()
}

/// Connects a client that is in many rooms.
async fn in_rooms(io: &SocketIo, rooms: &[String]) -> TestClient {
    let client = connect(io).await;
    io.to(client.id()).local().join(rooms);
    client
}

/// Emits to each of some rooms, and waits for all events.
async fn reach_all(from: &SocketIo, rooms: &[String], client: &TestClient) {
    for room in rooms {
        reach(from, room, client).await;
    }
}

/// Emits to a room until its event arrives. Those of other rooms may arrive late.
async fn reach(from: &SocketIo, room: &str, client: &TestClient) {
    let reached = async {
        loop {
            from.to(room).emit("reach", room);
            let event = timeout(Duration::from_millis(50), client.next::<String>("reach"));
            if event.await.is_ok_and(|event| event == room) {
                break;
            }
        }
    };
    timeout(SOON, reached).await.expect("the room is reached");
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn servers_act_as_one_in_a_redis_cluster() {
    let cluster = RedisCluster::start(0).await;
    for mode in [SubscriptionMode::Static, DYNAMIC] {
        let (one, two) = (cluster.server(mode).await, cluster.server(mode).await);
        let url = cluster.url();
        let third = async move { Redis::connect(&url).await.unwrap().sharded(mode) };
        last_events_arrive(&one, third).await;
        act_as_one(&one, &two).await;
        drop((one, two));
        cluster.subscriptions(0).await;
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn many_rooms_of_all_slots_are_subscribed_to_again() {
    const ROOMS: usize = 9000;
    let cluster = RedisCluster::start(0).await;
    let (one, two) = (cluster.server(DYNAMIC).await, cluster.server(DYNAMIC).await);
    let rooms = names(ROOMS);
    let bob = in_rooms(&two, &rooms).await;
    // Two namespaces, and each server's own channel in each.
    let channels = ROOMS + 2 * (1 + 2);
    cluster.subscriptions(channels).await;
    cluster.kill_subscriptions().await;
    cluster.subscriptions(channels).await;
    reach_all(&one, &rooms[..30], &bob).await;
    becomes(&two, HealthState::Connected).await;
    two.to(bob.id()).local().leave(&rooms);
    cluster.subscriptions(2 * (1 + 2)).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_master_that_is_killed_and_restarted_harms_no_rooms_of_others() {
    let mut cluster = RedisCluster::start(0).await;
    let (one, two) = (cluster.server(DYNAMIC).await, cluster.server(DYNAMIC).await);
    let rooms = names(40);
    let bob = in_rooms(&two, &rooms).await;
    reach_all(&one, &rooms, &bob).await;
    let mut others = Vec::new();
    for room in &rooms {
        if cluster.master_of(room).await != 0 {
            others.push(room.clone());
        }
    }
    assert!((10..40).contains(&others.len()), "{others:?}");
    cluster.nodes[0].kill();
    becomes(&two, HealthState::Reconnecting).await;
    for number in 0..500 {
        one.to(&others[number % others.len()]).emit("news", number);
        assert_eq!(bob.next::<usize>("news").await, number);
    }
    cluster.nodes[0].restart().await;
    reach_all(&one, &rooms, &bob).await;
    becomes(&one, HealthState::Connected).await;
    becomes(&two, HealthState::Connected).await;
    assert_eq!(two.of("/").count().await.unwrap(), 1);
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_replica_takes_the_place_of_its_master() {
    let mut cluster = RedisCluster::start(1).await;
    let (one, two) = (cluster.server(DYNAMIC).await, cluster.server(DYNAMIC).await);
    let redis = Redis::connect(&cluster.url()).await.unwrap();
    let emitter = redis.emitter();
    let rooms = names(30);
    let bob = in_rooms(&two, &rooms).await;
    reach_all(&one, &rooms, &bob).await;
    cluster.nodes[0].kill();
    reach_all(&one, &rooms, &bob).await;
    becomes(&one, HealthState::Connected).await;
    becomes(&two, HealthState::Connected).await;
    for (number, room) in rooms.iter().enumerate() {
        emitter.to(room).emit("emitted", number).await.unwrap();
        assert_eq!(bob.next::<usize>("emitted").await, number);
    }
    assert_eq!(one.of("/").count().await.unwrap(), 1);
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn rooms_follow_their_slots_to_other_masters() {
    let cluster = RedisCluster::start(0).await;
    let (one, two) = (cluster.server(DYNAMIC).await, cluster.server(DYNAMIC).await);
    let emitter = Redis::connect(&cluster.url()).await.unwrap().emitter();
    let rooms = names(10);
    let bob = in_rooms(&two, &rooms).await;
    reach_all(&one, &rooms, &bob).await;
    emitter.to("room 0").emit("emitted", 0).await.unwrap();
    assert_eq!(bob.next::<usize>("emitted").await, 0);
    for room in &rooms {
        cluster.move_slot_of(room).await;
        reach(&one, room, &bob).await;
        emitter.to(room).emit("emitted", 1).await.unwrap();
        assert_eq!(bob.next::<usize>("emitted").await, 1);
    }
    cluster.subscriptions(rooms.len() + 2 * (1 + 2)).await;
    reach_all(&one, &rooms, &bob).await;
    becomes(&one, HealthState::Connected).await;
    becomes(&two, HealthState::Connected).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn an_address_of_a_cluster_is_one_of_a_cluster() {
    let (log, _guard) = Log::collect();
    let single = Engine::start().await;
    let address = format!("127.0.0.1:{}", single.port);
    for url in [
        format!("redis+cluster://:secret@{address}"),
        format!("redis+cluster://{address}"),
        format!("redis+cluster://127.0.0.1:{}", free_port()),
    ] {
        let error: RedisConnectError = Redis::connect(&url).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    let cluster = RedisCluster::start(0).await;
    let redis = Redis::connect(&cluster.url()).await.unwrap();
    let io = two_servers::server(redis.streams(Streams::new()));
    becomes(&io, HealthState::Connected).await;
    assert_eq!(log.with("streams are not used").len(), 1);
}
