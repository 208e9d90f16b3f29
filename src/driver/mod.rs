//! The one task of each connection: it reads, writes, keeps the time and polls the handlers.

mod dispatch;
mod lanes;
mod running;
mod sessions;
mod task;
mod timers;

pub(crate) use sessions::{Entry, Inbound, PollAnswer, PostAnswer, Sessions};
pub(crate) use task::Connection;
