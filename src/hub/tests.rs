//! What cannot be seen from outside: the order of two steps, and whether anything is left behind.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use http::Request;

use super::*;
use crate::engine::{Outbox, Transport};
use crate::protocol::Sid;
use crate::rooms::Target;
use crate::sync::Lock;

/// A socket whose client reads nothing.
fn connected() -> (Socket, Arc<Client>) {
    let options = NspOptions {
        order: Order::Started,
        max_pending: 1,
        unhandled: Unhandled::Error,
        ack_format: AckFormat::Value,
        max_rooms: 1,
        max_room_len: 1,
        ack_timeout: Duration::from_secs(5),
    };
    let nsp = Arc::new(Nsp::new("/".into(), Handlers::default(), options));
    let client = Arc::new(Client::new(
        Sid::from_random([1; 15]),
        Arc::new(Outbox::new(10, 1000)),
        Handshake::new(&mut Request::new(()).into_parts().0),
        Transport::WebSocket,
    ));
    let socket = Socket::new(Sid::from_random([2; 15]), nsp, Arc::clone(&client), None);
    assert!(socket.connect());
    (socket, client)
}

/// Notes whenever the connection's task is woken how many commands and packets it would find.
struct Finds {
    client: Arc<Client>,
    found: Lock<Vec<(usize, usize)>>,
}

impl Wake for Finds {
    fn wake(self: Arc<Self>) {
        let commands = self.client.take_commands().len();
        let (packets, _) = self.client.outbox.pending();
        self.found.lock().push((commands, packets));
        self.client.outbox.register(&Waker::from(Arc::clone(&self)));
    }
}

#[test]
fn a_connection_learns_that_a_socket_has_left_before_its_client_can() {
    let (socket, client) = connected();
    let finds = Arc::new(Finds {
        client: Arc::clone(&client),
        found: Lock::default(),
    });
    client.outbox.register(&Waker::from(Arc::clone(&finds)));
    socket.disconnect();
    let found = finds.found.lock();
    assert_eq!(found.first(), Some(&(1, 0)));
}

/// Nobody waits for the first answer of the namespace any more.
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
    let all = Broadcast::new(Arc::clone(socket.namespace()), Target::default());
    drop(all.emit_with_ack::<()>("q", ()));
    assert!(forgotten(&socket));
}
