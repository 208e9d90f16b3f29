//! The running server: namespaces, sockets, targets of emits, and pending acknowledgements.

mod ack;
mod client;
mod client_files;
mod clock;
mod content;
mod emit;
mod event;
mod event_name;
mod faults;
mod handshake;
mod hooks;
mod id;
mod logs;
mod nsp;
mod nsps;
mod operators;
mod origin;
mod outgoing;
mod over_limit;
mod own_handlers;
mod pace;
mod pattern;
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
pub(crate) use client_files::ClientFile;
pub use client_files::ClientFiles;
pub(crate) use clock::now;
pub(crate) use content::{Content, reason, words};
pub use emit::Emitted;
pub use event::{AckBody, Admission, BoxHandler, Done, EventContext};
pub(crate) use event::{
    Answer, Call, ErasedHandler, EventCall, Failure, INTERNAL_ERROR, Refusal, Stop, in_full,
};
pub(crate) use event_name::EventName;
pub(crate) use faults::{Cause, Fault, TypeName, report_not_allowed};
pub(crate) use handshake::Handshake;
pub use hooks::ConnectionError;
pub(crate) use hooks::{AllowRequest, Hooks};
pub(crate) use id::new_sid;
pub(crate) use logs::{Logs, ServerLogs, allow as may_log, log_no_server};
pub use nsp::{AckFormat, Failed, Order, Rejected, Unhandled};
pub(crate) use nsp::{Dispatch, Handlers, Nsp, NspOptions, Origin};
pub(crate) use nsps::{Family, Found, Nsps};
pub use operators::Broadcast;
pub use origin::OwnScheme;
pub(crate) use origin::normalized;
pub use outgoing::Outgoing;
pub(crate) use outgoing::OutgoingHooks;
pub(crate) use over_limit::OverLimit;
pub(crate) use pace::{Pace, Rate};
pub(crate) use pattern::Pattern;
pub use remote::RemoteSocket;
pub(crate) use reply::reply;
pub use server::SocketIo;
pub(crate) use server::{Connections, Server, Settings};
pub use servers::{ServerAckFuture, ServerAnswers, ServerEvent};
pub(crate) use servers::{ServerHandler, server_args};
pub(crate) use socket::Ended;
pub use socket::Socket;
pub(crate) use socket::{Comeback, Connected};
pub(crate) use stored::{Grant, Stored};
pub(crate) use taken::{Answered, Asked};
pub use to_socket::ToSocket;
