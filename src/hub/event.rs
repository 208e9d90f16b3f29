//! What a handler is given, and the handler as the hub calls it.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use serde_json::value::{RawValue, Value};

use super::{Asked, Grant, Socket, TypeName, reason};
use crate::adapter::BoxFuture;
use crate::engine::DisconnectReason;
use crate::protocol::socket_io::Event;
use crate::protocol::{DecodeError, EncodedArgs};

/// A handler with its state, ready to be called.
pub(crate) trait ErasedHandler<Out>: Send + Sync {
    fn call(&self, cx: EventContext) -> BoxFuture<Out>;
}

/// A handler whose type is forgotten, and how it wants to be run.
pub struct BoxHandler<Out> {
    handler: Arc<dyn ErasedHandler<Out>>,
    pub(crate) options: HandlerOptions,
}

/// How one handler wants to be run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HandlerOptions {
    /// The next event of this socket for this handler waits until this one is done.
    pub(crate) one_at_a_time: bool,
}

impl<Out> BoxHandler<Out> {
    pub(crate) fn new(handler: impl ErasedHandler<Out> + 'static) -> Self {
        Self {
            handler: Arc::new(handler),
            options: HandlerOptions::default(),
        }
    }

    pub(crate) fn call(&self, cx: EventContext) -> BoxFuture<Out> {
        self.handler.call(cx)
    }

    /// Tells one registration from others, for as long as it is there.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.handler).cast::<()>().addr()
    }

    /// Whether both are one registration.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handler, &other.handler)
    }
}

impl<Out> Clone for BoxHandler<Out> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            options: self.options,
        }
    }
}

impl<Out> fmt::Debug for BoxHandler<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxHandler")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What a handler's arguments are taken from: the socket, the handshake's request and, in an event, its data.
///
/// Extractors of your own get at it through [`FromEvent`](crate::extract::FromEvent).
#[derive(Debug)]
pub struct EventContext {
    socket: Socket,
    parts: Option<Box<Parts>>,
    loan: Loan,
    /// Somebody may have changed the extensions.
    written: bool,
    call: Call,
}

/// Why the handler is called.
#[derive(Debug)]
pub(crate) enum Call {
    Middleware,
    Connect,
    Event(EventCall),
    Disconnect(DisconnectReason),
}

/// An event on its way to its handler.
#[derive(Debug)]
pub(crate) struct EventCall {
    pub(crate) event: Event,
    /// The acknowledgement, if the client wants one.
    pub(crate) ack: Option<Asked>,
    /// An argument has taken the acknowledgement over.
    pub(crate) ack_taken: bool,
    /// The JSON of the arguments has been read, or checked.
    pub(crate) checked: bool,
}

impl EventCall {
    pub(crate) fn new(event: Event, ack: Option<Asked>) -> Self {
        Self {
            event,
            ack,
            ack_taken: false,
            checked: false,
        }
    }
}

/// Whose the request's parts are.
///
/// Extraction has those of the socket for itself, so nothing is cloned or locked for an event that does not ask for them.
/// While it is under way, the socket's next events wait: this is what keeps the order when an extractor awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loan {
    /// Arguments are being taken; the parts are the socket's, and given back when that is over.
    Open,
    /// Arguments are being taken, but behind a layer: the parts are a copy.
    Copy,
    /// The parts are a copy, and the next events do not wait.
    Over,
}

impl EventContext {
    pub(crate) fn new(socket: Socket, call: Call) -> Self {
        socket.request().begin();
        Self {
            socket,
            parts: None,
            loan: Loan::Open,
            written: false,
            call,
        }
    }

    /// The socket that the event is for.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The request that opened the connection, with what middleware have added to its extensions.
    ///
    /// What is inserted into its extensions, or replaced there, is seen by the later arguments of the same handler, and gone
    /// afterwards.
    pub fn parts_mut(&mut self) -> &mut Parts {
        self.written = true;
        self.parts()
    }

    /// The same, for who is known not to change them.
    pub(crate) fn parts(&mut self) -> &mut Parts {
        let (socket, loan) = (&self.socket, self.loan);
        self.parts.get_or_insert_with(|| match loan {
            Loan::Open => socket.request().borrow(socket.handshake()),
            Loan::Copy | Loan::Over => Box::new(socket.request().make(socket.handshake())),
        })
    }

    /// How much was received for the event, in bytes, attachments included; 0 in handlers that are not for an event.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.call {
            Call::Event(call) => call.event.args().size(),
            Call::Middleware | Call::Connect | Call::Disconnect(_) => 0,
        }
    }

    /// The event's name; `None` in handlers that are not for an event.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        match &self.call {
            Call::Event(call) => Some(call.event.name()),
            Call::Middleware | Call::Connect | Call::Disconnect(_) => None,
        }
    }

    /// What the log calls that which the handler is for: the event's name, or the kind of the handler.
    pub(crate) fn place(&self) -> &str {
        match &self.call {
            Call::Event(call) => call.event.name(),
            Call::Middleware => "middleware",
            Call::Connect => "connect",
            Call::Disconnect(_) => "disconnect",
        }
    }

    pub(crate) fn event_call(&mut self) -> Option<&mut EventCall> {
        match &mut self.call {
            Call::Event(call) => Some(call),
            Call::Middleware | Call::Connect | Call::Disconnect(_) => None,
        }
    }

    /// An argument takes the acknowledgement over. Nothing if the client does not wait for one, or another argument has it.
    pub(crate) fn take_ack(&mut self) -> Option<Asked> {
        let call = self.event_call()?;
        let taken = std::mem::replace(&mut call.ack_taken, true);
        call.ack.filter(|_| !taken)
    }

    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// Whether the client waits for an answer that no argument has taken over.
    pub(crate) fn wants_ack(&self) -> bool {
        matches!(
            &self.call,
            Call::Event(EventCall {
                ack: Some(_),
                ack_taken: false,
                ..
            })
        )
    }

    /// Lets the socket's next event go ahead; later arguments work on a copy.
    pub(crate) fn detach(&mut self) {
        let copy = self.parts.clone();
        self.give_back();
        self.parts = copy;
    }

    /// The socket's next events wait again until all arguments are taken: it has come through its layers.
    pub(crate) fn attach(&mut self) {
        if self.loan == Loan::Over {
            self.loan = Loan::Copy;
            self.socket.request().begin();
        }
    }

    /// All arguments are taken: gives the request back, and sees to it that malformed JSON does not pass unread.
    pub(crate) fn finish(&mut self) -> Result<(), DecodeError> {
        self.give_back();
        match &mut self.call {
            Call::Event(call) if !call.checked => call.event.args().check(),
            _ => Ok(()),
        }
    }

    /// No argument is taken any more.
    fn give_back(&mut self) {
        let before = std::mem::replace(&mut self.loan, Loan::Over);
        if before == Loan::Over {
            return;
        }
        let request = self.socket.request();
        request.end();
        if before == Loan::Copy {
            // A layer may have taken it to another task than the one that has the next events.
            self.socket.go_on();
            return;
        }
        if let Some(parts) = self.parts.take() {
            request.give_back(parts, self.written);
        }
    }
}

impl Drop for EventContext {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// All that a client gets of a fault that is not its own.
pub(crate) const INTERNAL_ERROR: &str = "internal error";

/// What the handler of an event answers.
#[derive(Debug)]
pub struct AckBody(pub(crate) Answer);

#[derive(Debug)]
pub(crate) enum Answer {
    /// Nothing is to be sent: nobody asked, or somebody else answers.
    Silent,
    Ok(EncodedArgs),
    /// Holds the error that the client's callback gets.
    Error(EncodedArgs, Failure),
    /// The arguments are not JSON: the client has broken the protocol.
    Malformed(DecodeError),
}

/// Whose error an answer is.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The handler's own, with the status that it has over HTTP, and the name of the handler.
    Handler(StatusCode, Option<TypeName>),
    /// The handler's answer cannot be serialized. Holds the error, and the name of the handler.
    Serialize(Box<str>, Option<TypeName>),
    /// The handler has panicked.
    Panic,
    /// The arguments did not fit.
    Rejection,
    /// A layer kept the event from the handler.
    Stopped(Stop),
    /// There is no handler.
    Unhandled,
}

/// Why a layer kept an event from its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    RateLimit,
    Timeout,
    Overload,
    Other,
}

impl Stop {
    /// As the counters call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate limit",
            Self::Timeout => "timeout",
            Self::Overload => "overload",
            Self::Other => "other",
        }
    }
}

impl AckBody {
    pub(crate) const SILENT: Self = Self(Answer::Silent);

    /// What `value` says: a tuple is several arguments, `()` none.
    pub(crate) fn ok<T: serde::Serialize + ?Sized>(value: &T) -> Self {
        match EncodedArgs::ack(value) {
            Ok(args) => Self(Answer::Ok(args)),
            Err(error) => {
                let failure = Failure::Serialize(in_full(&error).into(), None);
                Self::error(INTERNAL_ERROR, failure)
            }
        }
    }

    /// `{"error": message}`
    pub(crate) fn error(message: &str, failure: Failure) -> Self {
        Self::error_value(&serde_json::json!({ "error": message }), failure)
    }

    /// The handler has panicked.
    pub(crate) fn panicked() -> Self {
        Self::error(INTERNAL_ERROR, Failure::Panic)
    }

    pub(crate) fn error_value<T: Serialize>(value: &T, failure: Failure) -> Self {
        let args = EncodedArgs::ack(&(value,));
        Self(args.map_or(Answer::Silent, |args| Answer::Error(args, failure)))
    }

    /// The same value as an error of the handler; the status's own words if there is none.
    pub(crate) fn into_error(self, status: StatusCode) -> Self {
        let failure = Failure::Handler(status, None);
        match self.0 {
            Answer::Ok(args) if args.json() == "[]" => Self::error(&reason(status), failure),
            Answer::Ok(args) => Self(Answer::Error(args, failure)),
            other => Self(other),
        }
    }

    /// Says whose failure it is, if it is one.
    pub(crate) fn named(mut self, handler: TypeName) -> Self {
        if let Answer::Error(_, Failure::Handler(_, name) | Failure::Serialize(_, name)) =
            &mut self.0
        {
            name.get_or_insert(handler);
        }
        self
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.0, Answer::Error(..) | Answer::Malformed(_))
    }
}

/// What a connect middleware decided: what the socket keeps, or why it may not connect.
pub struct Admission(pub(crate) Result<Grant, Refusal>);

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission")
            .field(&self.0.as_ref().map(drop))
            .finish()
    }
}

/// Why a socket may not connect, as its client sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Box<RawValue>>,
    /// What was to decide has panicked.
    #[serde(skip)]
    pub(crate) panicked: bool,
    /// The status that the error has over HTTP, unless the application has refused in words of this protocol.
    #[serde(skip)]
    pub(crate) status: Option<StatusCode>,
    /// The name of the handler that has refused.
    #[serde(skip)]
    pub(crate) handler: Option<TypeName>,
    /// The fault is logged already.
    #[serde(skip)]
    pub(crate) reported: bool,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
            panicked: false,
            status: None,
            handler: None,
            reported: false,
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(INTERNAL_ERROR)
    }

    /// Says which handler has refused.
    pub(crate) fn named(mut self, handler: TypeName) -> Self {
        self.handler.get_or_insert(handler);
        self
    }

    /// The status, if it says that the server is at fault.
    pub(crate) fn server_error(&self) -> Option<StatusCode> {
        self.status.filter(StatusCode::is_server_error)
    }

    /// As JSON for clients of revision 3: the data, or else the message.
    pub(crate) fn without_object(&self) -> String {
        match &self.data {
            Some(data) => data.get().to_owned(),
            None => Value::from(&*self.message).to_string(),
        }
    }

    pub(crate) fn panicked() -> Self {
        Self {
            panicked: true,
            ..Self::internal()
        }
    }

    /// As if there was no such namespace.
    pub(crate) fn invalid_namespace() -> Self {
        Self::new("Invalid namespace")
    }
}

/// How a connect or disconnect handler ended.
#[derive(Debug)]
pub struct Done(pub(crate) Result<(), Refusal>);

/// An error with its sources, in one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |all, source| format!("{all}: {source}"))
}
