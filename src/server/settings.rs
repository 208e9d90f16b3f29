//! The settings of a server.

use std::time::Duration;

use super::EngineSettings;
use proto::socket_io::{Codec, PacketLimits};

/// The settings of the whole server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) engine: EngineSettings,
    pub(crate) codec: Codec,
    pub(crate) limits: PacketLimits,
    pub(crate) path: String,
    pub(crate) max_namespaces: usize,
    /// The maximum size of the auth in a CONNECT, in bytes.
    pub(crate) max_auth_len: usize,
    /// The maximum number of namespaces of one pattern.
    pub(crate) max_dynamic_namespaces: usize,
    /// The maximum size of the events of a connection that wait for handlers, in bytes.
    pub(crate) max_queued_bytes: usize,
    /// The maximum size of the events of a connection whose handlers run, in bytes.
    pub(crate) max_running_bytes: usize,
    /// The maximum size of the input that all connections hold, in bytes.
    pub(crate) max_inbound_bytes: usize,
    /// The maximum number of handlers, of all connections, that go on after their connections have closed.
    pub(crate) max_detached_handlers: usize,
    /// The maximum number of running handlers of a connection, over all namespaces.
    pub(crate) max_handlers: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    /// The maximum number of warnings and errors per minute that clients cause.
    pub(crate) max_log_records: u32,
    pub(crate) max_log_records_per_connection: u32,
    pub(crate) drain_window: Duration,
    pub(crate) drain_limit: Duration,
}
