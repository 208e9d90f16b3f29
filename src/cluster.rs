//! Servers that act as one: the engines that connect them, and what an engine has to implement.
//!
//! [`LocalCluster`] connects servers of one process. An engine that connects processes implements [`Wire`], and is
//! passed to [`SocketIoBuilder::cluster`](crate::SocketIoBuilder::cluster) in the same way.

pub use crate::adapter::{AdapterError, LocalCluster};
pub use crate::server::ClusterHandle;
pub use proto::cluster::{
    BoxFuture, Channel, Family, Health, HealthState, Heartbeats, Presence, PublishError, Receiver,
    RoomChannels, Wire, WireConnection, WireError,
};
