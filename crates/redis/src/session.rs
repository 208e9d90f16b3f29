//! A connection that is opened when it is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::{MultiplexedConnection, SendError};
use redis::{PushInfo, PushKind};
use tokio::sync::Mutex;

use crate::connector::{Connector, connection_config};
use crate::error::RedisConnectError;

/// A connection that is opened when it is needed, and again when it has ended.
pub(crate) struct Session {
    connector: Connector,
    open: Mutex<Option<Open>>,
}

struct Open {
    connection: MultiplexedConnection,
    ended: Arc<AtomicBool>,
}

impl Session {
    pub(crate) fn new(connector: Connector) -> Self {
        let open = Mutex::default();
        Self { connector, open }
    }

    /// Returns the address of the server, without user and password.
    pub(crate) fn address(&self) -> &str {
        self.connector.address()
    }

    /// Returns the connection, a new one if there is none.
    pub(crate) async fn get(&self) -> Result<MultiplexedConnection, RedisConnectError> {
        let mut open = self.open.lock().await;
        if let Some(open) = open.as_ref().filter(|open| !open.has_ended()) {
            return Ok(open.connection.clone());
        }
        let opened = self.open().await;
        let opened = opened.map_err(|error| RedisConnectError::new(self.address(), error))?;
        let connection = opened.connection.clone();
        *open = Some(opened);
        Ok(connection)
    }

    async fn open(&self) -> Result<Open, redis::RedisError> {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let push = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                end.store(true, Ordering::Relaxed);
            }
            Ok::<_, SendError>(())
        };
        let mut config = connection_config();
        if self.connector.has_pushes() {
            config = config.set_push_sender(push);
        }
        let connection = self.connector.open(&config).await?;
        Ok(Open { connection, ended })
    }

    /// Drops the connection, which has failed.
    pub(crate) async fn end(&self) {
        *self.open.lock().await = None;
    }
}

impl Open {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
