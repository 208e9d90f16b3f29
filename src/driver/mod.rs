//! The one task of each connection: it reads, writes, keeps the time and polls the handlers.

mod dispatch;
mod running;
mod sessions;
mod task;

pub(crate) use sessions::{Entry, Inbound, PollAnswer, PostAnswer, Sessions};
pub(crate) use task::Connection;
