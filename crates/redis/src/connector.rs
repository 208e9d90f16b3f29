//! The ways to connect to Redis.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, ProtocolVersion,
    RedisError,
};
use tokio::time::timeout;

use crate::address::{Address, Place, Sentinels, server};
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::topology::NodeAddress;

/// The time in which Redis has to answer.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time in which a sentinel has to answer. The next one is asked then.
const SENTINEL_TIMEOUT: Duration = Duration::from_secs(1);

/// The time in which a server of a Redis Cluster has to answer to a question about the others.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_secs(1);

/// An address, and the way to connect to it.
#[derive(Clone)]
pub(crate) struct Connector {
    place: Place,
    /// The address without user and password.
    address: Arc<str>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// Returns the options of a connection.
pub(crate) fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT))
}

/// Waits for Redis no longer than a limit.
pub(crate) async fn limited<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    let done = timeout(limit, work).await;
    done.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

impl Connector {
    /// Creates a connector for an URL.
    pub(crate) fn new(url: &str) -> Result<Self, RedisError> {
        let address: Address = url.parse()?;
        #[cfg(feature = "tls")]
        let tls = if address.encrypted {
            Some(Tls::with_roots_of_the_system()?)
        } else {
            None
        };
        #[cfg(not(feature = "tls"))]
        if address.encrypted {
            let reason = "TLS needs the feature `tls` of axum-socketio-redis";
            return Err((ErrorKind::InvalidClientConfig, reason).into());
        }
        Ok(Self {
            address: address.text.into(),
            place: address.place,
            #[cfg(feature = "tls")]
            tls,
        })
    }

    /// Creates a connector for an URL that names TLS, with a configuration of the program.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(url: &str, tls: Tls) -> Result<Self, RedisError> {
        let address: Address = url.parse()?;
        if !address.encrypted {
            let reason = "an address with TLS begins with rediss: or rediss+sentinel:";
            return Err((ErrorKind::InvalidClientConfig, reason).into());
        }
        Ok(Self {
            address: address.text.into(),
            place: address.place,
            tls: Some(tls),
        })
    }

    /// Returns the address without user and password.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns true if connections receive messages beside answers: they speak RESP3.
    pub(crate) fn has_pushes(&self) -> bool {
        self.place.redis().protocol() == ProtocolVersion::RESP3
    }

    /// Returns the number of the database.
    pub(crate) fn database(&self) -> i64 {
        self.place.redis().db()
    }

    /// Returns a connector with RESP3, which all servers with sharded channels speak.
    pub(crate) fn with_pushes(self) -> Self {
        Self {
            place: self.place.with_protocol(ProtocolVersion::RESP3),
            ..self
        }
    }

    /// Returns the first servers of a Redis Cluster, or `None` for a single server.
    pub(crate) fn seeds(&self) -> Option<Vec<Self>> {
        let Place::Cluster(servers) = &self.place else {
            return None;
        };
        let seeds = servers.iter().map(|server| self.to(server.clone()));
        Some(seeds.collect())
    }

    /// Returns a connector to a server of the same Redis Cluster.
    pub(crate) fn to_node(&self, node: &NodeAddress) -> Result<Self, RedisError> {
        let address = ConnectionAddr::Tcp(node.host.clone(), node.port);
        let server = server(address, ProtocolVersion::RESP3)?;
        Ok(self.to(server.set_redis_settings(self.place.redis())))
    }

    fn to(&self, server: ConnectionInfo) -> Self {
        let mut connector = self.clone();
        connector.address = server.addr().to_string().into();
        connector.place = Place::Server(server);
        connector
    }

    /// Returns the host of the server, if there is one.
    pub(crate) fn host(&self) -> Option<&str> {
        match &self.place {
            Place::Server(server) => match server.addr() {
                ConnectionAddr::Tcp(host, _) => Some(host),
                _ => None,
            },
            Place::Sentinels(_) | Place::Cluster(_) => None,
        }
    }

    /// Opens a connection, to the master if there are sentinels.
    pub(crate) async fn open(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        match &self.place {
            Place::Server(server) => self.open_to(server, config, RESPONSE_TIMEOUT).await,
            Place::Cluster(servers) => {
                let mut failure = (ErrorKind::InvalidClientConfig, "no servers").into();
                for server in servers {
                    match self.open_to(server, config, NODE_TIMEOUT).await {
                        Ok(opened) => return Ok(opened),
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
            Place::Sentinels(sentinels) => {
                let (_, connection) = self.open_to_master(sentinels, config).await?;
                Ok(connection)
            }
        }
    }

    /// Opens a connection that only subscribes, for RESP2.
    pub(crate) async fn open_pubsub(&self) -> Result<PubSub, RedisError> {
        let server = match &self.place {
            Place::Server(server) => server.clone(),
            Place::Cluster(_) => {
                let reason = "the servers of a Redis Cluster speak RESP3";
                return Err((ErrorKind::InvalidClientConfig, reason).into());
            }
            Place::Sentinels(sentinels) => {
                let config = connection_config();
                self.open_to_master(sentinels, &config).await?.0
            }
        };
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return limited(RESPONSE_TIMEOUT, tls.open_pubsub(&server)).await;
        }
        let client = Client::open(server)?;
        limited(RESPONSE_TIMEOUT, client.get_async_pubsub()).await
    }

    async fn open_to(
        &self,
        server: &ConnectionInfo,
        config: &AsyncConnectionConfig,
        limit: Duration,
    ) -> Result<MultiplexedConnection, RedisError> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return limited(limit, tls.open(server, config)).await;
        }
        let client = Client::open(server.clone())?;
        let config = config.clone().set_connection_timeout(Some(limit));
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// Connects to the master of the first sentinel whose answer is true.
    async fn open_to_master(
        &self,
        sentinels: &Sentinels,
        config: &AsyncConnectionConfig,
    ) -> Result<(ConnectionInfo, MultiplexedConnection), RedisError> {
        let mut failure = (ErrorKind::InvalidClientConfig, "no sentinels").into();
        for sentinel in &sentinels.servers {
            let opened = async {
                let address = self.ask(sentinel, &sentinels.name).await?;
                let master = server(address, ProtocolVersion::RESP3)?;
                let master = master.set_redis_settings(sentinels.master.clone());
                let opened = self.open_to(&master, config, RESPONSE_TIMEOUT).await?;
                Ok((master, verified(opened).await?))
            };
            match opened.await {
                Ok(opened) => return Ok(opened),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Asks a sentinel for the address of the master.
    async fn ask(
        &self,
        sentinel: &ConnectionInfo,
        name: &str,
    ) -> Result<ConnectionAddr, RedisError> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(SENTINEL_TIMEOUT));
        let mut connection = self.open_to(sentinel, &config, SENTINEL_TIMEOUT).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let master: Option<(String, u16)> = ask.query_async(&mut connection).await?;
        let unknown = (
            ErrorKind::MasterNameNotFoundBySentinel,
            "the sentinel does not know the master",
        );
        let (host, port) = master.ok_or(unknown)?;
        Ok(ConnectionAddr::Tcp(host, port))
    }
}

/// Returns a connection if it is one to a master: sentinels may not know yet that another server has become it.
async fn verified(
    mut connection: MultiplexedConnection,
) -> Result<MultiplexedConnection, RedisError> {
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
    match role.first() {
        Some(redis::Value::BulkString(role)) if role == b"master" => Ok(connection),
        _ => Err((ErrorKind::Io, "the server is no master").into()),
    }
}
