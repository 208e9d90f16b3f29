//! Values that options of a server and of its namespaces take, and what hooks of a server get.
//!
//! [`Limits`](crate::Limits) and [`Timeouts`](crate::Timeouts) stand at the root of the crate.

pub use crate::builder::HasState;
// The crate `http` has the name of the module.
pub use crate::http::{ClientFiles, ConnectionError, OwnScheme};
pub use crate::namespace::{AckFormat, Order, Unhandled};
pub use crate::rooms::recovery::Recovery;
pub use proto::engine_io::Transport;
#[cfg(feature = "compression")]
pub use proto::websocket::Compression;
