//! Tests that dropped acknowledgements leave nothing behind, which is not visible from outside.

use std::sync::Arc;

use http::Request;
use tokio::task::yield_now;

use super::BroadcastOperator;
use crate::adapter::{ClusterConnection, LocalCluster};
use crate::http::OpeningRequest;
use crate::ids::new_sid;
use crate::logs::ServerLogs;
use crate::metrics::Counters;
use crate::namespace::NamespaceOptions;
use crate::outbox::Outbox;
use crate::rooms::{Awaited, Target};
use crate::socket::{Client, ConnectOutcome, RequestedAck, Socket, SocketNamespace};
use proto::Sid;
use proto::engine_io::{Revision, Transport};

/// Creates a connected socket whose client reads nothing.
fn connected() -> (Socket, Arc<Client>) {
    connected_in(None)
}

/// Creates such a socket on one of several servers.
fn connected_in(cluster: Option<&LocalCluster>) -> (Socket, Arc<Client>) {
    let logs = Arc::new(ServerLogs::new(Arc::new(Counters::new(1)), 10, 10));
    let cluster = cluster.map(|cluster| {
        let uid = new_sid().unwrap();
        ClusterConnection::connect(cluster, uid.as_str().into(), Arc::clone(&logs))
    });
    let options = NamespaceOptions {
        cluster,
        ..NamespaceOptions::default()
    };
    let namespace = Arc::new(SocketNamespace::new(
        "/".into(),
        Arc::default(),
        options,
        &logs,
        None,
    ));
    let client = Arc::new(Client::new(
        Sid::from_random([1; 15]),
        Revision::Four,
        Arc::new(Outbox::new(10, 1000)),
        OpeningRequest::new(Request::new(()).into_parts().0),
        Transport::WebSocket,
        logs,
    ));
    let socket = Socket::new(
        new_sid().unwrap(),
        namespace,
        Arc::clone(&client),
        None,
        None,
        None,
    );
    assert_eq!(socket.connect(), ConnectOutcome::Yes);
    (socket, client)
}

/// Returns true if the first acknowledgement of the namespace is not awaited.
fn forgotten(socket: &Socket) -> bool {
    socket.member().acks.lock().take(0).is_none()
}

#[tokio::test]
async fn a_question_that_is_dropped_leaves_nothing_behind() {
    let (socket, _client) = connected();
    let asking = socket.emit_with_ack::<()>("q", ());
    assert!(!forgotten(&socket));
    drop(asking);

    let (socket, _client) = connected();
    drop(socket.emit_with_ack::<()>("q", ()));
    assert!(forgotten(&socket));

    let (socket, _client) = connected();
    let all = BroadcastOperator::new(Arc::clone(socket.namespace()), Target::default());
    drop(all.emit_with_ack::<()>("q", ()));
    assert!(forgotten(&socket));
}

#[tokio::test]
async fn a_question_to_the_sockets_of_other_servers_leaves_nothing_behind() {
    let cluster = LocalCluster::new();
    let (one, _client) = connected_in(Some(&cluster));
    let (other, _other) = connected_in(Some(&cluster));
    let target = Target::default();
    let asking =
        BroadcastOperator::new(Arc::clone(one.namespace()), target).emit_with_ack::<()>("q", ());
    while asking.summary().asked < 2 {
        yield_now().await;
    }
    assert_ne!(other.member().awaited(), Awaited::No);
    drop(asking);
    assert!(forgotten(&one));
    while other.member().awaited() != Awaited::No {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_dropped_acknowledgement_wakes_only_a_draining_connection() {
    let (socket, client) = connected();
    let let_go = |call| {
        let asked = RequestedAck { id: 0, call };
        let _ = socket.take_ack(asked);
        socket.release_ack();
    };
    client.outbox.take_notification();
    let_go(1);
    assert!(!client.outbox.take_notification());
    client.begin_drain();
    let_go(2);
    assert!(client.outbox.take_notification());
}
