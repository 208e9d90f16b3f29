//! A running server.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::Settings;
use crate::adapter::{BoxFuture, ClusterConnection};
use crate::emit::NamespaceHandle;
use crate::http::Hooks;
use crate::logs::ServerLogs;
use crate::metrics::{Counters, Hook};
use crate::namespace::Namespaces;
use crate::panics::guarded;
use crate::socket::{NamespaceHandlers, SocketNamespace};

/// The time for which a server that has closed waits until its last messages to other servers have been sent.
const MAX_FLUSH: Duration = Duration::from_secs(1);

/// The parts of a server that its connections and its handles share.
pub(crate) struct Server {
    pub(crate) settings: Settings,
    pub(crate) hooks: Hooks,
    pub(crate) namespaces: Namespaces<NamespaceHandlers>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) logs: Arc<ServerLogs>,
    pub(crate) connections: Arc<dyn Connections>,
    /// The cluster, if there is one.
    pub(crate) cluster: Option<Arc<ClusterConnection>>,
    /// The hook for dynamic namespaces that a first socket has joined.
    pub(crate) new_namespace: Option<NewNamespaceHook>,
}

pub(crate) type NewNamespaceHook = Arc<dyn Fn(&NamespaceHandle) + Send + Sync>;

/// The connections of a server, which the driver holds.
///
/// It is `Any`, because the service needs the type behind it, the table of connections. Otherwise `Server` would be
/// generic over that type, which is in a higher layer, and so would `SocketIo`, which is public.
pub(crate) trait Connections: Any + Send + Sync {
    /// Refuses new connections from now on, and drains the existing ones, starting one after another over `window`.
    /// They and their handlers have to end within `limit`, counted from the first call.
    fn shut_down(&self, window: Duration, limit: Duration);
    /// Returns true if new connections are accepted.
    fn is_open(&self) -> bool;
    fn count(&self) -> usize;
    /// Resolves when a shutdown begins.
    fn shutting_down(&self) -> BoxFuture<()>;
    /// Resolves when, after [`shut_down`](Self::shut_down), all connections and their handlers have ended, or the time
    /// limit has passed.
    fn closed(&self) -> BoxFuture<()>;
}

impl Server {
    /// Calls the hook for new namespaces, if this is a dynamic one and a first socket has joined it.
    pub(crate) fn announce(&self, namespace: &SocketNamespace) {
        let Some(hook) = &self.new_namespace else {
            return;
        };
        if !namespace.is_dynamic() || !namespace.mark_joined() {
            return;
        }
        let Some(dynamic) = self.namespaces.dynamic_of(&namespace.name) else {
            return;
        };
        let handle = NamespaceHandle::child(Arc::clone(dynamic), &namespace.name);
        if let Err(panicked) = guarded(|| hook(&handle)) {
            self.report_panic(Hook::OnNewNamespace, &panicked);
        }
    }

    pub(super) fn shut_down(&self, window: Duration) {
        self.connections
            .shut_down(window, self.settings.drain_limit);
    }

    pub(super) async fn closed(&self) {
        self.connections.closed().await;
        // The adapters close last, since disconnect handlers may emit to other servers.
        self.namespaces.close();
        if let Some(cluster) = &self.cluster {
            // The process may end now. An engine that does not answer is not awaited for long.
            let _ = timeout(MAX_FLUSH, cluster.flushed()).await;
        }
    }
}
