//! A server: the handle that users hold, its settings, and reports that belong to no socket.

mod cluster;
mod engine_settings;
mod handle;
mod over_limit;
mod poll_packets;
#[cfg(feature = "metrics")]
mod publish;
mod reports;
mod settings;
mod shared;

pub use cluster::ClusterHandle;
pub(crate) use engine_settings::EngineSettings;
pub use handle::SocketIo;
pub(crate) use over_limit::OverLimit;
pub(crate) use poll_packets::PollPackets;
pub(crate) use settings::Settings;
pub(crate) use shared::{Connections, NewNamespaceHook, Server};
