//! The running server: namespaces, sockets, targets of emits, and pending acknowledgements.

mod ack;
mod client;
mod config;
mod emit;
mod event;
mod event_name;
mod faults;
mod handlers;
mod operators;
mod outgoing;
mod over_limit;
mod own_handlers;
mod pace;
mod poll_packets;
#[cfg(feature = "metrics")]
mod publish;
mod remote;
mod reply;
mod request;
mod server;
mod servers;
mod socket;
mod stored;
mod taken;
#[cfg(test)]
mod tests;
mod to_socket;

pub use ack::{AckError, AckFuture, AckStream, AckSummary};
pub(crate) use client::{Client, Command};
pub(crate) use config::Config;
pub use emit::Emitted;
pub use event::{AckBody, Admission, BoxHandler, Done, EventContext};
pub(crate) use event::{Answer, Call, ErasedHandler, EventCall, Failure, Refusal, Stop};
pub(crate) use event_name::EventName;
pub(crate) use faults::{Fault, report_not_allowed};
pub use handlers::{Failed, Rejected};
pub(crate) use handlers::{HandlerLayers, NamespaceHandlers, SocketNamespace};
pub use operators::Broadcast;
pub use outgoing::Outgoing;
pub(crate) use outgoing::OutgoingHooks;
pub(crate) use over_limit::OverLimit;
pub(crate) use pace::{Pace, Rate};
pub(crate) use poll_packets::PollPackets;
pub use remote::RemoteSocket;
pub(crate) use reply::reply;
pub use server::SocketIo;
pub(crate) use server::{Connections, Server, Settings};
pub use servers::{ServerAckFuture, ServerAnswers};
pub(crate) use socket::Ended;
pub use socket::Socket;
pub(crate) use socket::{Comeback, Connected};
pub(crate) use stored::{Grant, Stored};
pub(crate) use taken::{Answered, Asked};
pub use to_socket::ToSocket;

pub(crate) use crate::clock::now;
pub(crate) use crate::http::{
    AllowRequest, Content, HandshakeRequest, Hooks, INTERNAL_ERROR, reason, words,
};
pub(crate) use crate::ids::new_sid;
pub(crate) use crate::logs::{Cause, Logs, ServerLogs, TypeName, in_full, log_no_server, may_log};
pub(crate) use crate::namespace::{AckFormat, Order, ServerEvent, Unhandled};
pub(crate) use crate::namespace::{
    Creation, DynamicNamespace, NamespaceOptions, Namespaces, Pattern, ServerHandler, server_args,
};
