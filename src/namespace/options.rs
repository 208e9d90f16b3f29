//! The options of a namespace.

use std::sync::Arc;
use std::time::Duration;

use crate::adapter::ClusterConnection;
use crate::rooms::RoomLimits;
use crate::rooms::recovery::{Recovery, Stores};
use proto::Surplus;
use proto::socket_io::Codec;

/// The rule that decides when the next event of a socket may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Handlers start in arrival order; after its first wait, a handler interleaves with later ones, as in Node.
    #[default]
    Started,
    /// Handlers run one at a time: each starts when the one before it has returned. A handler that waits for another
    /// event of the same socket never finishes; acknowledgements and heartbeats are not affected. `on_connect` and
    /// `on_disconnect` are not events: the latter may run beside the last one.
    Completed,
}

/// The answer to an event that has no handler, if the client requests an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unhandled {
    /// The error `{"error":"no handler for \"x\""}`.
    #[default]
    Error,
    /// No answer, as in Node: the client's callback is never called.
    Silent,
}

/// The format of the arguments of a client's callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckFormat {
    /// The value itself, or `{"error": …}`.
    #[default]
    Value,
    /// `{"data": value}` or `{"error": …}`. Several values become an array, and no value becomes `null`.
    Tagged,
    /// Two arguments, as in Node's own APIs: `null, value` or `error`.
    ErrorFirst,
}

/// The options of a namespace; see the builders for the meaning of each.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceOptions {
    pub(crate) codec: Codec,
    pub(crate) order: Order,
    pub(crate) max_pending: usize,
    pub(crate) unhandled: Unhandled,
    pub(crate) surplus: Surplus,
    pub(crate) ack_format: AckFormat,
    pub(crate) room_limits: RoomLimits,
    pub(crate) ack_timeout: Duration,
    pub(crate) recovery: Option<Recovery>,
    /// The stores that other servers use too, if recovery has them.
    pub(crate) stores: Option<Arc<dyn Stores>>,
    /// True if all sockets receive the broadcasts of several threads in one order.
    pub(crate) ordered_broadcasts: bool,
    /// The minimum size of a message to be compressed, if any is.
    pub(crate) compressed_from: Option<usize>,
    /// The cluster that this server may share with other servers.
    pub(crate) cluster: Option<Arc<ClusterConnection>>,
    /// The maximum time until a lost connection is detected.
    pub(crate) detection: Duration,
}

impl Default for NamespaceOptions {
    fn default() -> Self {
        Self {
            codec: Codec::Default,
            order: Order::Started,
            max_pending: 64,
            unhandled: Unhandled::Error,
            surplus: Surplus::Ignored,
            ack_format: AckFormat::Value,
            room_limits: RoomLimits {
                rooms: 1024,
                name_len: 1024,
            },
            ack_timeout: Duration::from_secs(5),
            recovery: None,
            stores: None,
            ordered_broadcasts: false,
            compressed_from: None,
            cluster: None,
            detection: Duration::ZERO,
        }
    }
}
