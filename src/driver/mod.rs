//! The task of each connection. It reads, writes, watches the deadlines and polls the handlers.

mod account;
mod admission;
mod before;
mod deadlines;
mod detached;
mod dispatch;
mod drain;
mod ending;
mod failures;
mod inbox;
mod lanes;
mod leaving;
mod polls;
mod presence;
mod pressure;
mod quota;
mod running;
mod sessions;
mod shutdown;
mod slowness;
mod sockets;
mod task;
mod timed_session;
mod timers;

pub(crate) use inbox::{Inbound, PollAnswer, PostAnswer, Refused};
pub(crate) use quota::TurnedAway;
pub(crate) use sessions::{Entry, Guard, Sessions};
pub(crate) use sockets::turn_away;
pub(crate) use task::{Connection, span};
