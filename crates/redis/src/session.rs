//! A connection that is opened when it is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::{MultiplexedConnection, SendError};
use redis::{Client, PushInfo, PushKind};
use tokio::sync::Mutex;

use crate::error::RedisConnectError;
use crate::settings::connection_config;

/// A connection that is opened when it is needed, and again when it has ended.
pub(crate) struct Session {
    client: Client,
    open: Mutex<Option<Open>>,
}

struct Open {
    connection: MultiplexedConnection,
    ended: Arc<AtomicBool>,
}

impl Session {
    pub(crate) fn new(client: Client) -> Self {
        let open = Mutex::default();
        Self { client, open }
    }

    /// Returns the address of the server, without user and password.
    pub(crate) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
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
        let config = connection_config().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                end.store(true, Ordering::Relaxed);
            }
            Ok::<_, SendError>(())
        });
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let connection = connecting.await?;
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
