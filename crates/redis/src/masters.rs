//! The question for the masters of a Redis Cluster.

use redis::{AsyncConnectionConfig, ErrorKind, RedisError, Value};

use crate::connector::{Connector, NODE_TIMEOUT, limited};
use crate::topology::Topology;

/// Asks servers one after the other for the masters, until one of them knows.
pub(crate) async fn find(servers: &[Connector]) -> Result<Topology, RedisError> {
    let mut failure = (ErrorKind::InvalidClientConfig, "no servers").into();
    for server in servers {
        match limited(NODE_TIMEOUT, ask(server)).await {
            Ok(topology) => return Ok(topology),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Asks a server for the masters. One that has lost the others does not know.
async fn ask(server: &Connector) -> Result<Topology, RedisError> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(NODE_TIMEOUT));
    let mut connection = server.open(&config).await?;
    let mut commands = redis::pipe();
    commands.cmd("CLUSTER").arg("INFO");
    commands.cmd("CLUSTER").arg("SLOTS");
    let (state, slots): (String, Value) = commands.query_async(&mut connection).await?;
    if !state.contains("cluster_state:ok") {
        return Err((ErrorKind::Io, "the Redis Cluster is not complete").into());
    }
    Ok(Topology::parse(slots, server.host().unwrap_or_default())?)
}
