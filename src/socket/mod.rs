//! A client in a namespace: its handle, its life, its values and handlers, and the events that it gets.
//!
//! A socket has handlers, a handler gets a context, and a context has a socket: so the handlers are here, too.

mod ack_claims;
mod admission;
mod answer;
mod client;
mod close_error;
mod data;
mod early;
mod event_context;
mod event_name;
mod expiry;
mod faults;
mod handle;
mod handler_registration;
mod handshake;
mod hooks;
mod life;
mod namespace_handlers;
mod own_handlers;
mod pace;
mod recovery;
mod reply;
mod request;
mod sending;
mod state;
mod values;

pub(crate) use ack_claims::{AckClaim, RequestedAck};
pub(crate) use admission::{Admission, Done, Refusal};
pub use answer::AckBody;
pub(crate) use answer::{Failure, HandlerAnswer};
pub(crate) use client::{Client, Command};
pub use close_error::CloseError;
pub use data::DataError;
pub(crate) use data::read_data;
pub use event_context::EventContext;
pub(crate) use event_context::{BoxHandler, Call, ErasedHandler, EventCall};
pub(crate) use event_name::EventName;
pub(crate) use faults::Fault;
pub use handle::Socket;
pub(crate) use handle::SocketReference;
pub use handler_registration::Listener;
pub(crate) use hooks::OutgoingHooks;
pub use hooks::{Failed, Outgoing, Rejected};
pub(crate) use namespace_handlers::{
    HandlerLayers, NamespaceHandlers, SocketMember, SocketNamespace,
};
pub(crate) use own_handlers::{Calls, ListenerEnd};
pub(crate) use pace::Rate;
pub(crate) use recovery::{RecoveryState, SessionSearch};
pub(crate) use reply::reply;
pub(crate) use state::{ConnectOutcome, Ended};
pub(crate) use values::{SocketValue, SocketValues};
