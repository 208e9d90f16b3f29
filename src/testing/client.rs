//! One client in one namespace.

use std::any::type_name;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::Connection;
use super::expect::{Expect, fail};
use super::state::{Back, Socket};
use super::{Disconnected, Join, TestApp};
use crate::protocol::engine_io::Packet;
use crate::protocol::socket_io::Kind;
use crate::protocol::{Args, EncodeError, EncodedArgs, Sid};

/// A future of this module, in a box so that it borrows nothing but the client: the arguments it was made with may go.
pub type Waiting<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// A client in a namespace: what [`TestApp::connect`] gives.
///
/// Events that come are kept until the test asks for them by name. Arguments are as everywhere: a tuple is several, `()` is
/// none, anything else is one, and `Bytes` become attachments.
///
/// Dropping all clients of a connection ends it without a word to the server, as [`cut`](Self::cut) does.
pub struct TestClient {
    connection: Arc<Connection>,
    nsp: ByteString,
    id: Sid,
    app: TestApp,
}

impl TestClient {
    pub(super) fn new(connection: Arc<Connection>, nsp: ByteString, id: Sid, app: TestApp) -> Self {
        Self {
            connection,
            nsp,
            id,
            app,
        }
    }

    /// The socket's id, as the server told it: the same as its [`Socket::id`](crate::Socket::id).
    #[must_use]
    pub const fn id(&self) -> Sid {
        self.id
    }

    /// Whether it has come back to the socket that it had before; see [`Connect::coming_back_as`](super::Connect::coming_back_as).
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.look(|socket| socket.recovered)
    }

    pub(super) fn back(&self) -> Back {
        self.look(|socket| socket.back.clone())
    }

    /// The namespace.
    #[must_use]
    pub fn nsp(&self) -> &str {
        &self.nsp
    }

    /// Whether neither side has disconnected, as far as the client knows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.look(|socket| socket.ended.is_none())
    }

    /// Joins another namespace over the same connection. Each can be joined once.
    #[track_caller]
    pub fn connect(&self, nsp: &str) -> Join {
        Join::new(Arc::clone(&self.connection), nsp, &self.app)
    }

    /// Sends an event, at once. The future waits until the server has taken it in: its handler has run up to where it has to
    /// wait for something, unless the event has to wait for its turn behind others.
    ///
    /// # Panics
    ///
    /// When the client is disconnected, the arguments cannot be sent, or the server does not take it in within the
    /// [limit](TestApp::limit).
    #[track_caller]
    pub fn emit(&self, event: &str, args: impl Serialize) -> Waiting<'_, ()> {
        let number = self.send(Kind::Event, None, EncodedArgs::event(event, &args));
        self.taken(number, format!("the server to take the event {event:?} in"))
    }

    /// Sends an event, at once. The future gives the server's acknowledgement, read as an `R`.
    ///
    /// # Panics
    ///
    /// When the client is disconnected, the arguments cannot be sent, no acknowledgement comes within the
    /// [limit](TestApp::limit), or it is not an `R`.
    #[track_caller]
    pub fn emit_with_ack<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: impl Serialize,
    ) -> Waiting<'_, R> {
        let id = self.look(|socket| {
            socket.next_ack += 1;
            socket.next_ack
        });
        self.send(Kind::Event, Some(id), EncodedArgs::event(event, &args));
        let what = format!("an acknowledgement of {event:?}");
        let expect = self.expect();
        Box::pin(async move {
            let answer = self
                .wait(expect, &what, |socket| socket.answers.remove(&id))
                .await;
            read(expect, &what, &answer)
        })
    }

    /// Waits for an event and gives its arguments. The first one of this name that no one has asked for is taken; others stay.
    ///
    /// # Panics
    ///
    /// When none comes within the [limit](TestApp::limit), the client is disconnected before, or the arguments are not a `T`.
    #[track_caller]
    pub fn next<T: DeserializeOwned>(&self, event: &str) -> impl Future<Output = T> + Send {
        let (what, expect) = (format!("an event {event:?}"), self.expect());
        async move {
            let came = self.wait(expect, &what, |socket| socket.next(event)).await;
            read(expect, &what, &came.args)
        }
    }

    /// As [`next`](Self::next), for an event that the server wants an acknowledgement of.
    ///
    /// ```
    /// # use axum_socketio::testing::TestClient;
    /// # async fn f(client: TestClient) {
    /// let question = client.next_with_ack::<String>("confirm").await;
    /// assert_eq!(question.data, "Delete?");
    /// question.ack(true).await;
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`next`](Self::next), and when the server wants no acknowledgement.
    #[track_caller]
    pub fn next_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
    ) -> impl Future<Output = Question<'_, T>> + Send {
        let (what, expect) = (format!("an event {event:?}"), self.expect());
        async move {
            let came = self.wait(expect, &what, |socket| socket.next(event)).await;
            let Some(id) = came.id else {
                expect.fail(format_args!("{what} wants no acknowledgement"));
            };
            let data = read(expect, &what, &came.args);
            Question {
                data,
                id,
                client: self,
            }
        }
    }

    /// Whether an event of this name has come that no one has asked for.
    #[must_use]
    pub fn has(&self, event: &str) -> bool {
        self.look(|socket| socket.events.iter().any(|came| came.name == event))
    }

    /// Waits until the application has had the time to send such an event, which it must not do: 100 ms of tokio's time
    /// unless [`TestApp::quiet`] says otherwise. With a paused clock these are over as soon as nothing is left to do.
    ///
    /// # Panics
    ///
    /// When one has come or comes.
    #[track_caller]
    pub fn expect_no(&self, event: &str) -> impl Future<Output = ()> + Send {
        let expect = Expect::within(self.app.quiet);
        async move {
            let unwanted = self
                .connection
                .shared
                .until(|state| state.socket(&self.nsp).next(event));
            if let Some(unwanted) = expect.wait(unwanted).await {
                let json = unwanted.json;
                expect.fail(format_args!("expected no event {event:?}, but {json} came"));
            }
        }
    }

    /// Leaves the namespace, and ends the connection if no other client is on it. Returns when the server has taken this in.
    /// A client that is disconnected stays so.
    ///
    /// # Panics
    ///
    /// When the server does not take it in within the [limit](TestApp::limit).
    #[track_caller]
    pub fn disconnect(&self) -> impl Future<Output = ()> + Send {
        let expect = self.expect();
        async move {
            let shared = &self.connection.shared;
            if !self.is_connected() {
                return;
            }
            let leave = shared.codec.plain(Kind::Disconnect, &self.nsp, None);
            let mut number = shared.send_packet(leave);
            let alone = shared.update(|state| {
                state.socket(&self.nsp).ended = Some(Disconnected::ByClient);
                state.is_alone()
            });
            if alone {
                number = shared.send(vec![Packet::Close]);
            }
            let what = "the server to take the disconnect in";
            expect
                .get(what, shared.taken(number), || self.instead())
                .await;
        }
    }

    /// Waits until the client is disconnected, and tells why.
    ///
    /// # Panics
    ///
    /// When it stays connected for the [limit](TestApp::limit).
    #[track_caller]
    pub fn disconnected(&self) -> impl Future<Output = Disconnected> + Send {
        let expect = self.expect();
        async move {
            let ended = self
                .connection
                .shared
                .until(|state| state.socket(&self.nsp).ended);
            expect
                .get("the client to be disconnected", ended, || self.instead())
                .await
        }
    }

    /// Breaks the connection without a word to the server, as when a tab is closed. All clients on the connection are
    /// disconnected.
    ///
    /// The server notices at once, and says [`TransportClose`](crate::DisconnectReason::TransportClose) over WebSocket,
    /// [`TransportError`](crate::DisconnectReason::TransportError) over polling, as Node's does. For a network that falls
    /// silent, see [`ignore_pings`](Self::ignore_pings).
    pub async fn cut(&self) {
        self.connection.cut().await;
    }

    /// Answers the server's pings no more, but goes on to send and to receive. The server ends such a connection with
    /// [`PingTimeout`](crate::DisconnectReason::PingTimeout).
    pub fn ignore_pings(&self) {
        self.connection
            .shared
            .with(|state| state.answers_pings = false);
    }

    /// Reads nothing any more, as when the network falls silent: what the server sends is lost on its way, its pings too, and
    /// waits with the server as soon as the way is full. The client goes on to send, but hears of nothing.
    pub fn stop_reading(&self) {
        self.connection.shared.with(|state| state.reads = false);
    }

    #[track_caller]
    const fn expect(&self) -> Expect {
        Expect::within(self.app.limit)
    }

    fn look<T>(&self, look: impl FnOnce(&mut Socket) -> T) -> T {
        self.connection
            .shared
            .with(|state| look(state.socket(&self.nsp)))
    }

    fn instead(&self) -> String {
        self.look(|socket| socket.describe())
    }

    /// Waits for something that only a connected client gets.
    async fn wait<T>(
        &self,
        expect: Expect,
        what: &str,
        mut find: impl FnMut(&mut Socket) -> Option<T>,
    ) -> T {
        let found = self.connection.shared.until(|state| {
            let socket = state.socket(&self.nsp);
            match find(socket) {
                Some(found) => Some(Some(found)),
                None => socket.ended.map(|_| None),
            }
        });
        match expect.get(what, found, || self.instead()).await {
            Some(found) => found,
            None => expect.fail(format_args!("expected {what}; {}", self.instead())),
        }
    }

    #[track_caller]
    fn send(&self, kind: Kind, id: Option<u64>, args: Result<EncodedArgs, EncodeError>) -> u64 {
        if let Some(reason) = self.look(|socket| socket.ended) {
            fail(format_args!(
                "cannot send, the client was disconnected: {reason}"
            ));
        }
        match args {
            Ok(args) => {
                let shared = &self.connection.shared;
                shared.send_packet(shared.codec.packet(args, kind, &self.nsp, id))
            }
            Err(error) => fail(format_args!("cannot send: {error}")),
        }
    }

    #[track_caller]
    fn taken(&self, number: u64, what: String) -> Waiting<'_, ()> {
        let expect = self.expect();
        Box::pin(async move {
            let taken = self.connection.shared.taken(number);
            expect.get(what, taken, || self.instead()).await;
        })
    }
}

/// Reads arguments, or fails with what they are.
fn read<T: DeserializeOwned>(expect: Expect, what: &str, args: &Args) -> T {
    args.deserialize().unwrap_or_else(|error| {
        let (kind, json) = (type_name::<T>(), args.json());
        expect.fail(format_args!(
            "expected {what} that is a {kind}: {error}; it is {json}"
        ))
    })
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("id", &self.id)
            .field("nsp", &self.nsp)
            .finish_non_exhaustive()
    }
}

/// An event that the server wants an acknowledgement of: what [`TestClient::next_with_ack`] gives. Dropped, it is never
/// answered.
#[derive(Debug)]
#[must_use = "it is never answered"]
pub struct Question<'c, T> {
    /// The arguments of the event.
    pub data: T,
    id: u64,
    client: &'c TestClient,
}

impl<'c, T> Question<'c, T> {
    /// Answers, at once. The future waits until the server has taken the answer in.
    ///
    /// # Panics
    ///
    /// When the client is disconnected, the answer cannot be sent, or the server does not take it in within the
    /// [limit](TestApp::limit).
    #[track_caller]
    pub fn ack(self, answer: impl Serialize) -> Waiting<'c, ()> {
        let Self { id, client, .. } = self;
        let number = client.send(Kind::Ack, Some(id), EncodedArgs::ack(&answer));
        client.taken(
            number,
            "the server to take the acknowledgement in".to_owned(),
        )
    }
}
