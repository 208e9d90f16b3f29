//! A handler, and the context that it is called with.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;

use super::{EventName, RequestedAck, Socket};
use crate::adapter::BoxFuture;
use proto::socket_io::Event;
use proto::{DecodeError, DisconnectReason};

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

    /// Returns the name of an event that the handler is called for.
    pub(crate) fn name_of(&self, event: &str) -> EventName {
        if self.options.by_name {
            EventName::Registered(self.id())
        } else {
            EventName::copied(event)
        }
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
    pub(crate) ack: Option<RequestedAck>,
    /// True if an argument has taken the acknowledgement over.
    pub(crate) ack_taken: bool,
    /// True if the JSON of the arguments has been parsed or checked.
    pub(crate) checked: bool,
    pub(crate) role: Role,
}

/// The part of a handler in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It handles the event, or may refuse it.
    Handle,
    /// It only sees the event, which others handle.
    Observe,
}

impl EventCall {
    pub(crate) fn new(event: Event, name: EventName, ack: Option<RequestedAck>) -> Self {
        Self {
            event,
            name,
            ack,
            ack_taken: false,
            checked: false,
            role: Role::Handle,
        }
    }

    /// Creates the call of a handler that only sees the event.
    pub(crate) fn observed(event: Event, name: EventName) -> Self {
        Self {
            role: Role::Observe,
            ..Self::new(event, name, None)
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
            Loan::Open => {
                let reference = || socket.reference();
                socket.request().borrow(socket.handshake(), reference)
            }
            Loan::Copy | Loan::Over => {
                let request = socket.request();
                Box::new(request.make(socket.handshake(), socket.reference()))
            }
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
    pub(crate) fn label(&self) -> &str {
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
    pub(crate) fn take_ack(&mut self) -> Option<(RequestedAck, EventName)> {
        let call = self.event_call()?;
        let taken = std::mem::replace(&mut call.ack_taken, true);
        let asked = call.ack.filter(|_| !taken)?;
        Some((asked, call.name.clone()))
    }

    /// Returns true if the handler only sees the event.
    pub(crate) fn only_observes(&self) -> bool {
        matches!(&self.call, Call::Event(call) if call.role == Role::Observe)
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
            self.socket.wake_connection();
            return;
        }
        if let Some(parts) = self.parts.take() {
            // Most handlers of other kinds run once, and an idle connection should not keep the parts for them.
            if matches!(self.call, Call::Event(_)) && !self.written {
                request.give_back(parts);
            } else {
                request.discard(parts);
            }
        }
    }
}

impl Drop for EventContext {
    fn drop(&mut self) {
        self.give_back();
    }
}
