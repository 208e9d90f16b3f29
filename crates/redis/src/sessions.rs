//! The connections of an emitter: one, or those to the masters of a Redis Cluster.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use redis::{ErrorKind, RedisError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::connector::Connector;
use crate::error::{EmitError, RedisConnectError};
use crate::masters::find;
use crate::settings::RedisSettings;
use crate::shared_connection::{AskError, SharedConnection};
use crate::topology::{NodeAddress, Topology};

/// The connections of an emitter, which are opened when they are needed.
pub(crate) enum Sessions {
    Single(SharedConnection),
    Cluster(ClusterSessions),
}

pub(crate) struct ClusterSessions {
    connector: Connector,
    known: Mutex<Known>,
}

/// The masters of a Redis Cluster that are known.
#[derive(Default)]
struct Known {
    /// The masters, and the time at which they were found.
    topology: Option<(Topology, Instant)>,
    sessions: HashMap<NodeAddress, Arc<SharedConnection>>,
}

impl Sessions {
    pub(crate) fn new(connector: Connector) -> Self {
        if connector.seeds().is_none() {
            return Self::Single(SharedConnection::new(connector));
        }
        Self::Cluster(ClusterSessions {
            connector,
            known: Mutex::default(),
        })
    }

    /// Returns the address of the server, without user and password.
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Single(session) => session.address(),
            Self::Cluster(cluster) => cluster.connector.address(),
        }
    }

    /// Sends a message. A server that does not answer may have got it, so it is not sent again then.
    pub(crate) async fn send(
        &self,
        settings: &RedisSettings,
        channel: &str,
        message: &Bytes,
    ) -> Result<(), EmitError> {
        let sent = match self {
            Self::Single(session) => {
                let mut publish = redis::pipe();
                settings.emit(&mut publish, channel, message);
                session.ask(&publish).await
            }
            Self::Cluster(cluster) => cluster.send(settings, channel, message).await,
        };
        sent.map_err(|error| match error {
            AskError::Connect(error) => error.into(),
            AskError::Redis(source) => {
                let address = self.address().to_owned();
                EmitError::Redis { address, source }
            }
        })
    }
}

impl ClusterSessions {
    /// Sends a message to the master of its channel: to another one if this is not it any more, or is gone.
    async fn send(
        &self,
        settings: &RedisSettings,
        channel: &str,
        message: &Bytes,
    ) -> Result<(), AskError> {
        let mut found_before = None;
        loop {
            let session = self.session(channel, found_before).await?;
            let mut publish = redis::pipe();
            settings.emit(&mut publish, channel, message);
            let failure = match session.ask_node(&mut publish).await {
                Ok(refused) if refused.contains(&true) => {
                    RedisError::from((ErrorKind::Io, "no server has the slot of the channel"))
                        .into()
                }
                Err(error @ AskError::Connect(_)) => error,
                sent => return sent.map(|_| ()),
            };
            if found_before.replace(Instant::now()).is_some() {
                return Err(failure);
            }
        }
    }

    /// Returns the connection to the master of a channel. The masters must have been found after a time, if there is
    /// one.
    async fn session(
        &self,
        channel: &str,
        after: Option<Instant>,
    ) -> Result<Arc<SharedConnection>, AskError> {
        let mut known = self.known.lock().await;
        let topology = match &known.topology {
            Some((topology, found)) if after.is_none_or(|after| *found >= after) => topology,
            _ => {
                let masters = known.sessions.keys();
                let masters = masters.filter_map(|address| self.connector.to_node(address).ok());
                let seeds = self.connector.seeds().unwrap_or_default();
                let servers: Vec<_> = masters.chain(seeds).collect();
                let begun = Instant::now();
                let failed = |error| RedisConnectError::new(self.connector.address(), error);
                let topology = find(&servers).await.map_err(failed)?;
                let masters: Vec<_> = topology.masters().collect();
                { &mut known.sessions }.retain(|address, _| masters.contains(&address));
                &known.topology.insert((topology, begun)).0
            }
        };
        let master = topology.master(channel).cloned();
        let unknown = RedisError::from((ErrorKind::Io, "no server has the slot of the channel"));
        let master = master.ok_or(unknown)?;
        if let Some(session) = known.sessions.get(&master) {
            return Ok(Arc::clone(session));
        }
        let session = SharedConnection::new(self.connector.to_node(&master)?);
        let session = Arc::new(session);
        known.sessions.insert(master, Arc::clone(&session));
        Ok(session)
    }
}
