//! The running server: namespaces, sockets, whom to emit to, and the answers that are awaited.

mod ack;
mod client;
mod emit;
mod event;
mod handshake;
mod hooks;
mod id;
mod kept;
mod nsp;
mod nsps;
mod operators;
mod own_handlers;
mod pace;
mod pattern;
mod remote;
mod reply;
mod request;
mod server;
mod socket;
mod taken;
#[cfg(test)]
mod tests;

pub use ack::{AckError, AckFuture, AckStream, AckSummary};
pub(crate) use client::{Client, Command};
pub use emit::Emitted;
pub use event::{AckBody, Admission, BoxHandler, Done, EventContext};
pub(crate) use event::{Answer, Call, ErasedHandler, EventCall, Refusal};
pub(crate) use handshake::Handshake;
pub use hooks::ConnectionError;
pub(crate) use hooks::{Allow, Hooks};
pub(crate) use id::new_sid;
pub(crate) use kept::{Grant, Kept};
pub use nsp::{AckFormat, Order, Rejected, Unhandled};
pub(crate) use nsp::{Dispatch, Handlers, Nsp, NspOptions};
pub(crate) use nsps::{Family, Found, Nsps};
pub use operators::{Broadcast, ToSocket};
pub(crate) use pace::{Pace, Rate};
pub(crate) use pattern::Pattern;
pub use remote::RemoteSocket;
pub(crate) use reply::reply;
pub use server::SocketIo;
pub(crate) use server::{Connections, Server, Settings};
pub(crate) use socket::Ended;
pub use socket::Socket;
pub(crate) use taken::{Answered, Asked};
