//! A client in a namespace.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::app::TestApp;
use super::connection::ClientConnection;
use super::error::Disconnected;
use super::expect::{Expect, Waiting, fail};
use super::state::{Back, ClientSocket};
use proto::engine_io::Packet;
use proto::socket_io::Kind;
use proto::{Args, EncodeError, EncodedArgs, Sid, Surplus};

/// A client in a namespace, returned by [`TestApp::connect`].
///
/// Received events are buffered until the test asks for them by name. Arguments follow the usual rules: a tuple is
/// several arguments, `()` is none, any other value is one, and `Bytes` become attachments.
///
/// Dropping all clients of a connection closes it without notifying the server, like [`cut`](Self::cut).
pub struct TestClient {
    pub(super) connection: Arc<ClientConnection>,
    nsp: ByteString,
    id: Sid,
    pub(super) app: TestApp,
}

impl TestClient {
    pub(super) fn new(
        connection: Arc<ClientConnection>,
        nsp: ByteString,
        id: Sid,
        app: TestApp,
    ) -> Self {
        Self {
            connection,
            nsp,
            id,
            app,
        }
    }

    /// The socket's id as received from the server, equal to its [`Socket::id`](crate::Socket::id).
    #[must_use]
    pub const fn id(&self) -> Sid {
        self.id
    }

    /// Returns true if the client has recovered its previous socket; see
    /// [`Connect::coming_back_as`](super::Connect::coming_back_as).
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

    /// Returns true if the client has not disconnected and has not been notified of a disconnect by the server.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.look(|socket| socket.ended.is_none())
    }

    /// Sends an event immediately. The future completes once the server has processed it: the handler has run up to the
    /// first point at which it has to wait, unless the event is queued behind others.
    ///
    /// # Panics
    ///
    /// Panics if the client is disconnected, the arguments cannot be serialized, or the server does not process the
    /// event within the [limit](TestApp::limit).
    #[track_caller]
    pub fn emit(&self, event: &str, args: impl Serialize) -> Waiting<'_, ()> {
        let number = self.send(Kind::Event, None, EncodedArgs::event(event, &args));
        self.taken(number, format!("the server to take the event {event:?} in"))
    }

    /// Sends an event immediately. The future returns the server's acknowledgement, deserialized as an `R`.
    ///
    /// # Panics
    ///
    /// Panics if the client is disconnected, the arguments cannot be serialized, no acknowledgement arrives within the
    /// [limit](TestApp::limit), or the acknowledgement is not an `R`.
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

    /// Waits for an event and returns its arguments. The oldest buffered event with this name is taken; all others
    /// remain buffered.
    ///
    /// # Panics
    ///
    /// Panics if no such event arrives within the [limit](TestApp::limit), the client is disconnected first, or the
    /// arguments are not a `T`.
    #[track_caller]
    pub fn next<T: DeserializeOwned>(&self, event: &str) -> impl Future<Output = T> + Send {
        let (what, expect) = (format!("an event {event:?}"), self.expect());
        async move {
            let came = self.wait(expect, &what, |socket| socket.next(event)).await;
            read(expect, &what, &came.args)
        }
    }

    /// Waits for an event that requests an acknowledgement, like [`next`](Self::next).
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
    /// Panics under the same conditions as [`next`](Self::next), and if the event does not request an acknowledgement.
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

    /// Returns true if an event with this name is buffered.
    #[must_use]
    pub fn has(&self, event: &str) -> bool {
        self.look(|socket| socket.events.iter().any(|came| came.name == event))
    }

    /// Waits long enough for the application to send such an event, and fails if it does: 100 ms of tokio's time, or
    /// the time set by [`TestApp::quiet`]. With a paused clock the wait ends once the runtime is idle.
    ///
    /// # Panics
    ///
    /// Panics if such an event is buffered or arrives.
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

    /// Leaves the namespace, and closes the connection if no other client uses it. Completes once the server has
    /// processed the disconnect. A disconnected client cannot reconnect.
    ///
    /// # Panics
    ///
    /// Panics if the server does not process the disconnect within the [limit](TestApp::limit).
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

    /// Waits until the client is disconnected and returns the reason.
    ///
    /// # Panics
    ///
    /// Panics if the client is still connected after the [limit](TestApp::limit).
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

    /// Drops the connection without notifying the server, like a closed browser tab. All clients on the connection are
    /// disconnected.
    ///
    /// The server detects this immediately and reports [`TransportClose`](crate::DisconnectReason::TransportClose) over
    /// WebSocket, or [`TransportError`](crate::DisconnectReason::TransportError) over polling, as Node's server does.
    /// To simulate a silent network, see [`ignore_pings`](Self::ignore_pings).
    pub async fn cut(&self) {
        self.connection.cut().await;
    }

    /// Stops answering the server's pings, but continues to send and receive. The server closes such a connection with
    /// [`PingTimeout`](crate::DisconnectReason::PingTimeout).
    pub fn ignore_pings(&self) {
        self.connection
            .shared
            .with(|state| state.answers_pings = false);
    }

    /// Stops reading, as if the network were silent. Data from the server, including pings, stays in the connection's
    /// buffer; once that is full, it stays queued on the server. The client can still send, but receives nothing.
    pub fn stop_reading(&self) {
        self.connection.shared.with(|state| state.reads = false);
    }

    #[track_caller]
    const fn expect(&self) -> Expect {
        Expect::within(self.app.limit)
    }

    fn look<T>(&self, look: impl FnOnce(&mut ClientSocket) -> T) -> T {
        self.connection
            .shared
            .with(|state| look(state.socket(&self.nsp)))
    }

    fn instead(&self) -> String {
        self.look(|socket| socket.describe())
    }

    /// Waits for something that only a connected client can receive.
    async fn wait<T>(
        &self,
        expect: Expect,
        what: &str,
        mut find: impl FnMut(&mut ClientSocket) -> Option<T>,
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

/// Deserializes arguments, or fails the test and shows them.
fn read<T: DeserializeOwned>(expect: Expect, what: &str, args: &Args) -> T {
    args.deserialize_with(Surplus::Refused)
        .unwrap_or_else(|error| {
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

/// An event that requests an acknowledgement, returned by [`TestClient::next_with_ack`]. If it is dropped, no
/// acknowledgement is sent.
#[derive(Debug)]
#[must_use = "it is never answered"]
pub struct Question<'c, T> {
    /// The arguments of the event.
    pub data: T,
    id: u64,
    client: &'c TestClient,
}

impl<'c, T> Question<'c, T> {
    /// Sends the acknowledgement immediately. The future completes once the server has processed it.
    ///
    /// # Panics
    ///
    /// Panics if the client is disconnected, the answer cannot be serialized, or the server does not process it within
    /// the [limit](TestApp::limit).
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
