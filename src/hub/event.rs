//! The context that a handler is given, and the handler as the hub calls it.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use serde_json::value::{RawValue, Value};

use super::{Asked, EventName, Grant, INTERNAL_ERROR, Socket, TypeName, reason};
use crate::adapter::BoxFuture;
use proto::socket_io::Event;
use proto::{DecodeError, DisconnectReason, EncodeError, EncodedArgs};

/// A handler with its state.
pub(crate) trait ErasedHandler<Out>: Send + Sync {
    fn call(&self, cx: EventContext) -> BoxFuture<Out>;
}

/// A type-erased handler with its options.
pub struct BoxHandler<Out> {
    handler: Arc<dyn ErasedHandler<Out>>,
    pub(crate) options: HandlerOptions,
}

/// The options of one handler.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HandlerOptions {
    /// True if the next event of this socket for this handler waits until the handler has returned.
    pub(crate) one_at_a_time: bool,
    /// True if a namespace has registered the handler for one event.
    pub(crate) by_name: bool,
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

    /// Returns an id of this registration, which is unique for as long as the registration exists.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.handler).cast::<()>().addr()
    }

    /// Returns true if both are the same registration.
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

/// The source of a handler's arguments: the socket, the handshake's request and, for an event, its data.
///
/// Custom extractors receive it through [`FromEvent`](crate::extract::FromEvent).
#[derive(Debug)]
pub struct EventContext {
    socket: Socket,
    parts: Option<Box<Parts>>,
    loan: Loan,
    /// True if the extensions may have been changed.
    written: bool,
    call: Call,
}

/// The occasion on which a handler is called.
#[derive(Debug)]
pub(crate) enum Call {
    Middleware,
    Connect,
    Event(EventCall),
    Disconnect(DisconnectReason),
}

/// An event that is dispatched to its handler.
#[derive(Debug)]
pub(crate) struct EventCall {
    pub(crate) event: Event,
    pub(crate) name: EventName,
    /// The acknowledgement, if the client has requested one.
    pub(crate) ack: Option<Asked>,
    /// True if an argument has taken the acknowledgement over.
    pub(crate) ack_taken: bool,
    /// True if the JSON of the arguments has been parsed or checked.
    pub(crate) checked: bool,
}

impl EventCall {
    pub(crate) fn new(event: Event, name: EventName, ack: Option<Asked>) -> Self {
        Self {
            event,
            name,
            ack,
            ack_taken: false,
            checked: false,
        }
    }
}

/// The owner of the request's parts.
///
/// Extraction borrows the parts of the socket exclusively, so nothing is cloned or locked for an event that does not
/// use them. While it runs, the socket's next events wait; this preserves their order when an extractor awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loan {
    /// Arguments are being taken; the parts belong to the socket and are returned to it afterwards.
    Open,
    /// Arguments are being taken behind a layer; the parts are a copy.
    Copy,
    /// All arguments are taken: the parts are a copy, and the next events do not wait.
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

    /// Returns the socket that the handler is called for.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns the request that opened the connection, with the extensions that middleware have added.
    ///
    /// A value that is inserted into its extensions, or replaced there, is visible to the later arguments of the same
    /// handler, and is discarded afterwards.
    pub fn parts_mut(&mut self) -> &mut Parts {
        self.written = true;
        self.parts()
    }

    /// Returns the request's parts for a caller that does not change them.
    pub(crate) fn parts(&mut self) -> &mut Parts {
        let (socket, loan) = (&self.socket, self.loan);
        self.parts.get_or_insert_with(|| match loan {
            Loan::Open => socket.request().borrow(socket.handshake()),
            Loan::Copy | Loan::Over => Box::new(socket.request().make(socket.handshake())),
        })
    }

    /// Returns the size of the event in bytes, attachments included; 0 in handlers that are not for an event.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.call {
            Call::Event(call) => call.event.args().size(),
            Call::Middleware | Call::Connect | Call::Disconnect(_) => 0,
        }
    }

    /// Returns the event's name; `None` in handlers that are not for an event.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        match &self.call {
            Call::Event(call) => Some(call.event.name()),
            Call::Middleware | Call::Connect | Call::Disconnect(_) => None,
        }
    }

    /// Returns the name of the event, or the kind of the handler, for the log.
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

    /// Takes the acknowledgement over for an argument, with the event's name. Returns `None` if the client has not
    /// requested one, or another argument has it.
    pub(crate) fn take_ack(&mut self) -> Option<(Asked, EventName)> {
        let call = self.event_call()?;
        let taken = std::mem::replace(&mut call.ack_taken, true);
        let asked = call.ack.filter(|_| !taken)?;
        Some((asked, call.name.clone()))
    }

    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// Returns true if the client waits for an acknowledgement that no argument has taken over.
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

    /// Lets the socket's next event start; later arguments work on a copy of the request.
    pub(crate) fn detach(&mut self) {
        let copy = self.parts.clone();
        self.give_back();
        self.parts = copy;
    }

    /// Makes the socket's next events wait until all arguments are taken; called when the event has passed its layers.
    pub(crate) fn attach(&mut self) {
        if self.loan == Loan::Over {
            self.loan = Loan::Copy;
            self.socket.request().begin();
        }
    }

    /// Ends the extraction: returns the request's parts to the socket, and checks JSON that no argument has parsed.
    pub(crate) fn finish(&mut self) -> Result<(), DecodeError> {
        self.give_back();
        match &mut self.call {
            Call::Event(call) if !call.checked => call.event.args().check(),
            _ => Ok(()),
        }
    }

    /// Returns the borrowed parts to the socket, after which no argument is taken.
    fn give_back(&mut self) {
        let before = std::mem::replace(&mut self.loan, Loan::Over);
        if before == Loan::Over {
            return;
        }
        let request = self.socket.request();
        request.end();
        if before == Loan::Copy {
            // A layer may have moved the context to another task than the connection's, which has to be woken for the
            // next events.
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

/// The answer of an event handler.
#[derive(Debug)]
pub struct AckBody(pub(crate) Answer);

#[derive(Debug)]
pub(crate) enum Answer {
    /// Nothing is sent: the client has requested no acknowledgement, or it is sent elsewhere.
    Silent,
    Ok(EncodedArgs),
    /// The error that the client's callback receives.
    Error(EncodedArgs, Failure),
    /// The arguments are not valid JSON: the client has violated the protocol.
    Malformed(DecodeError),
}

/// The origin of an error answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The handler has returned an error. Holds its status over HTTP, and the name of the handler.
    Handler(StatusCode, Option<TypeName>),
    /// The handler's answer cannot be serialized. Holds the error, and the name of the handler.
    Serialize(Box<EncodeError>, Option<TypeName>),
    /// The handler has panicked.
    Panic,
    /// An extractor has rejected the arguments.
    Rejection,
    /// A layer has stopped the event.
    Stopped(Stop),
    /// There is no handler.
    Unhandled,
}

/// The reason why a layer stopped an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    RateLimit,
    Timeout,
    Overload,
    Other,
}

impl Stop {
    /// Returns the label of the reason in the counters.
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

    /// Encodes `value` as the arguments of an acknowledgement: a tuple gives several arguments, `()` none.
    pub(crate) fn ok<T: serde::Serialize + ?Sized>(value: &T) -> Self {
        match EncodedArgs::ack(value) {
            Ok(args) => Self(Answer::Ok(args)),
            Err(error) => {
                let failure = Failure::Serialize(Box::new(error), None);
                Self::error(INTERNAL_ERROR, failure)
            }
        }
    }

    /// Builds the error `{"error": message}`.
    pub(crate) fn error(message: &str, failure: Failure) -> Self {
        Self::error_value(&serde_json::json!({ "error": message }), failure)
    }

    /// Builds the answer for a handler that has panicked.
    pub(crate) fn panicked() -> Self {
        Self::error(INTERNAL_ERROR, Failure::Panic)
    }

    pub(crate) fn error_value<T: Serialize>(value: &T, failure: Failure) -> Self {
        let args = EncodedArgs::ack(&(value,));
        Self(args.map_or(Answer::Silent, |args| Answer::Error(args, failure)))
    }

    /// Turns a success into an error of the handler with the same value, or with the status's reason phrase if it has
    /// no value.
    pub(crate) fn into_error(self, status: StatusCode) -> Self {
        let failure = Failure::Handler(status, None);
        match self.0 {
            Answer::Ok(args) if args.json() == "[]" => Self::error(&reason(status), failure),
            Answer::Ok(args) => Self(Answer::Error(args, failure)),
            other => Self(other),
        }
    }

    /// Adds the name of the handler to an error of the handler.
    pub(crate) fn named(mut self, handler: TypeName) -> Self {
        if let Answer::Error(_, Failure::Handler(_, name) | Failure::Serialize(_, name)) =
            &mut self.0
        {
            name.get_or_insert(handler);
        }
        self
    }

    /// Returns true if the answer is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.0, Answer::Error(..) | Answer::Malformed(_))
    }
}

/// The decision of a connect middleware: values for the socket to keep, or a refusal.
pub struct Admission(pub(crate) Result<Grant, Refusal>);

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission")
            .field(&self.0.as_ref().map(drop))
            .finish()
    }
}

/// The refusal of a connection to a namespace, as its client sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Box<RawValue>>,
    /// True if the middleware has panicked.
    #[serde(skip)]
    pub(crate) panicked: bool,
    /// The error's status over HTTP; `None` if the application has refused in terms of Socket.IO.
    #[serde(skip)]
    pub(crate) status: Option<StatusCode>,
    /// The name of the handler that has refused.
    #[serde(skip)]
    pub(crate) handler: Option<TypeName>,
    /// True if the fault is already logged.
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

    /// Adds the name of the handler that has refused.
    pub(crate) fn named(mut self, handler: TypeName) -> Self {
        self.handler.get_or_insert(handler);
        self
    }

    /// Returns the status if it is a server error.
    pub(crate) fn server_error(&self) -> Option<StatusCode> {
        self.status.filter(StatusCode::is_server_error)
    }

    /// Returns the JSON for clients of revision 3: the data, or else the message.
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

    /// Builds the refusal for a namespace that does not exist.
    pub(crate) fn invalid_namespace() -> Self {
        Self::new("Invalid namespace")
    }
}

/// The result of a connect or disconnect handler.
#[derive(Debug)]
pub struct Done(pub(crate) Result<(), Refusal>);
