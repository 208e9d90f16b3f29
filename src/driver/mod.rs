//! The task of each connection. It reads, writes, watches the deadlines and polls the handlers.

mod account;
mod admission;
mod before;
mod bodies;
mod deadlines;
mod detached;
mod dispatch;
mod drain;
mod duplexes;
mod ending;
mod expiry;
mod failures;
mod handlers;
mod inbox;
mod leaving;
mod pause;
mod polls;
mod pressure;
mod quota;
mod receive;
mod registration;
mod send;
mod serial_queues;
mod sessions;
mod shutdown;
mod slowness;
mod task;
mod timed_session;
mod timers;
mod upgrade;

pub(crate) use bodies::{BodyShare, Crowded, within_limit};
pub(crate) use duplexes::turn_away;
pub(crate) use inbox::{InboundRequest, NotQueued, PollAnswer, PostAnswer};
pub(crate) use quota::TurnedAway;
pub(crate) use sessions::{Guard, SessionEntry, SessionTable, SidInUse};
pub(crate) use task::{ConnectionTask, span};
