//! A connection that is opened when it is needed.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    ErrorKind, FromRedisValue, Pipeline, PushInfo, PushKind, RedisError, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::connector::{Connector, connection_config};
use crate::error::RedisConnectError;

/// A connection that is opened when it is needed, and again when it has ended.
pub(crate) struct SharedConnection {
    connector: Connector,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// The last failure to connect, and its time.
    failure: Option<(Instant, RedisError)>,
}

/// The reason for which commands have no answers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Connect(#[from] RedisConnectError),
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl AskError {
    /// Returns the reason, for the log.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Connect(error) => match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
            Self::Redis(error) => error.to_string(),
        }
    }
}

/// Executes commands at a server of a Redis Cluster. Returns which of them it has not executed, as another server has
/// the slot, or none has.
pub(crate) async fn ask_node(
    connection: &mut MultiplexedConnection,
    commands: &mut Pipeline,
) -> Result<Vec<bool>, RedisError> {
    let answers: Vec<Value> = commands.ignore_errors().query_async(connection).await?;
    let refused = answers.into_iter().map(|answer| match answer {
        Value::ServerError(error) => match error.kind() {
            Some(
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading,
            ) => Ok(true),
            _ => Err(RedisError::from(error)),
        },
        _ => Ok(false),
    });
    refused.collect()
}

/// An open connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) connection: MultiplexedConnection,
    ended: Arc<AtomicBool>,
}

impl SharedConnection {
    pub(crate) fn new(connector: Connector) -> Self {
        let state = Mutex::default();
        Self { connector, state }
    }

    /// Returns the address of the server, without user and password.
    pub(crate) fn address(&self) -> &str {
        self.connector.address()
    }

    /// Returns the connection, a new one if there is none. Callers that wait for the same attempt share its failure.
    pub(crate) async fn get(&self) -> Result<Open, RedisConnectError> {
        let called = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(open) = state.open.as_ref().filter(|open| !open.has_ended()) {
            return Ok(open.clone());
        }
        state.open = None;
        let error = match &state.failure {
            Some((failed, error)) if *failed >= called => error.clone(),
            _ => match self.open().await {
                Ok(opened) => return Ok(state.open.insert(opened).clone()),
                Err(error) => {
                    state.failure = Some((Instant::now(), error.clone()));
                    error
                }
            },
        };
        Err(RedisConnectError::new(self.address(), error))
    }

    /// Executes commands, and returns their answers.
    pub(crate) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, AskError> {
        let mut open = self.get().await?;
        let answers = commands.query_async(&mut open.connection).await;
        if let Err(error) = &answers
            && !matches!(error.kind(), ErrorKind::Server(_))
        {
            open.end();
        }
        Ok(answers?)
    }

    /// Executes commands at a server of a Redis Cluster; see [`ask_node`].
    pub(crate) async fn ask_node(&self, commands: &mut Pipeline) -> Result<Vec<bool>, AskError> {
        let mut open = self.get().await?;
        let answers = ask_node(&mut open.connection, commands).await;
        if let Err(error) = &answers
            && !matches!(error.kind(), ErrorKind::Server(_))
        {
            open.end();
        }
        Ok(answers?)
    }

    async fn open(&self) -> Result<Open, RedisError> {
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
}

impl Open {
    /// Has the connection replaced, as it has failed.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
