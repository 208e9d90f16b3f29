//! The ways of sending a statement.

use std::fmt;
use std::sync::Arc;

use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use super::error::EmitError;
use super::statement::Statement;
use crate::error::{PostgresConnectError, SessionError};
use crate::session::{Sessions, limited};
use crate::settings::RESPONSE_TIMEOUT;

/// A way of sending a statement.
pub(super) trait Via {
    fn execute(&self, statement: &Statement) -> impl Future<Output = Result<(), EmitError>> + Send;
}

/// Sends over a connection of the emitter.
#[derive(Clone)]
pub struct Connected {
    pub(super) sessions: Arc<Sessions>,
    pub(super) address: Arc<str>,
}

/// Sends in transactions only.
#[derive(Clone, Copy, Debug)]
pub struct Detached(pub(super) ());

/// Sends over a client of the program, or in a transaction of it.
pub struct Within<'a, G>(pub(super) &'a G);

impl Via for Connected {
    async fn execute(&self, statement: &Statement) -> Result<(), EmitError> {
        let session = self.sessions.get().await;
        let session = session.map_err(|error| PostgresConnectError::new(&self.address, error))?;
        let (sql, params) = parts(statement);
        let execute = session.client.execute_typed(sql, &params);
        let executed = limited(RESPONSE_TIMEOUT, execute).await;
        // A session that does not answer may be dead without a sign of it.
        if let Err(SessionError::Timeout(_)) = executed {
            self.sessions.end(&session).await;
        }
        executed?;
        Ok(())
    }
}

impl<G: GenericClient + Sync> Via for Within<'_, G> {
    async fn execute(&self, statement: &Statement) -> Result<(), EmitError> {
        let (sql, params) = parts(statement);
        self.0.execute_typed(sql, &params).await?;
        Ok(())
    }
}

type Param<'a> = (&'a (dyn tokio_postgres::types::ToSql + Sync), Type);

fn parts(statement: &Statement) -> (&str, [Param<'_>; 2]) {
    let Statement {
        sql,
        channel,
        payload,
    } = statement;
    (sql, [(channel, Type::TEXT), (payload, Type::BYTEA)])
}

impl<G> Clone for Within<'_, G> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl<G> fmt::Debug for Within<'_, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Within")
    }
}
