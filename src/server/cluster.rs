//! The cluster of a server, as its users see it.

use std::sync::{Arc, Weak};

use proto::cluster::Health;

use crate::adapter::ClusterConnection;

/// The cluster of a server; see [`SocketIo::cluster`](crate::SocketIo::cluster).
#[derive(Clone, Debug)]
pub struct ClusterHandle(Option<Weak<ClusterConnection>>);

impl ClusterHandle {
    pub(super) fn new(connection: Option<&Arc<ClusterConnection>>) -> Self {
        Self(connection.map(Arc::downgrade))
    }

    /// Returns how well this server is connected to the other servers. Returns `None` if it has no cluster.
    ///
    /// A server whose engine is away serves its own clients as always, so this is no reason to restart it. It is a
    /// reason for an alert, and for a balancer to prefer other servers.
    ///
    /// ```
    /// use axum::http::StatusCode;
    /// use axum_socketio::SocketIo;
    /// use axum_socketio::cluster::HealthState;
    ///
    /// async fn cluster(io: SocketIo) -> (StatusCode, &'static str) {
    ///     match io.cluster().health() {
    ///         None => (StatusCode::OK, "alone"),
    ///         Some(health) if health.state == HealthState::Reconnecting => {
    ///             (StatusCode::SERVICE_UNAVAILABLE, health.state.as_str())
    ///         }
    ///         Some(health) => (StatusCode::OK, health.state.as_str()),
    ///     }
    /// }
    /// # let io = SocketIo::builder::<()>().build();
    /// # assert_eq!(io.cluster().health(), None);
    /// ```
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        Some(self.0.as_ref()?.upgrade()?.health())
    }
}
