//! The emitter, for programs without a server and for transactions.

mod error;
mod statement;
mod via;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tokio_postgres::GenericClient;

use proto::Rooms;
use proto::cluster::{EmitterMessage, EmitterTarget, Family};

use crate::session::Sessions;
use crate::settings::Names;
use via::Via;

pub use error::EmitError;
pub use statement::Statement;
pub use via::{Connected, Detached, Within};

/// Sends events to the clients of all servers of a cluster, from any program that has a connection to PostgreSQL.
///
/// [`to`](Self::to), [`except`](Self::except) and the other methods that select return a copy, so one emitter serves
/// for all. Events are delivered by servers in Rust and in JavaScript. There are no acknowledgements.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use axum_socketio_postgres::Emitter;
///
/// let emitter = Emitter::connect("postgres://user:password@localhost/app").await?;
/// emitter.to("news").emit("article", ("A title", 7)).await?;
/// emitter.of("/admin").except("interns").disconnect().await?;
/// # Ok(()) }
/// ```
///
/// # In a transaction
///
/// [`emit_in`](Self::emit_in) makes an event part of a transaction: it is sent when the transaction commits, and never
/// if it rolls back. [`detached`](Self::detached) emitters do only that, and need no connection of their own.
///
/// ```no_run
/// # async fn f(mut client: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use axum_socketio_postgres::Emitter;
///
/// let emitter = Emitter::detached();
/// let transaction = client.transaction().await?;
/// transaction.execute("UPDATE orders SET paid = true WHERE id = 7", &[]).await?;
/// emitter.to("order 7").emit_in(&transaction, "paid", 7).await?;
/// transaction.commit().await?;
/// # Ok(()) }
/// ```
///
/// Commits with notifications wait for each other in PostgreSQL, however many connections there are. A system with
/// thousands of such commits a second emits after the commit instead.
#[derive(Clone)]
pub struct Emitter<C = Connected> {
    via: C,
    names: Names,
    target: EmitterTarget,
}

impl Emitter {
    pub(crate) fn over(address: Arc<str>, sessions: Arc<Sessions>, names: Names) -> Self {
        Self::new(Connected { sessions, address }, names)
    }
}

impl Emitter<Detached> {
    /// Creates an emitter without a connection, for events in transactions.
    #[must_use]
    pub fn detached() -> Self {
        Self::new(Detached(()), Names::default())
    }
}

impl<C> Emitter<C> {
    fn new(via: C, names: Names) -> Self {
        let target = EmitterTarget::new(Family::Cluster);
        Self { via, names, target }
    }

    /// Sets the prefix of all channels. Default: `socket.io`. All servers of the cluster have the same.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.names.prefix = prefix.into();
        self
    }

    /// Sets the table of messages that do not fit into a notification. Default: `socket_io_attachments`. All servers of
    /// the cluster have the same.
    #[must_use]
    pub fn table(mut self, table: &str) -> Self {
        self.names.set_table(table);
        self
    }
}

impl<C: Clone> Emitter<C> {
    /// Selects a namespace. Default: `/`.
    #[must_use]
    pub fn of(&self, nsp: impl AsRef<str>) -> Self {
        self.with(|target| target.of(nsp.as_ref()))
    }

    /// Adds the sockets that are in any of the rooms. A socket's id is a room too. If this is not called, all sockets
    /// are selected; an empty list selects none.
    #[must_use]
    pub fn to(&self, rooms: impl Rooms) -> Self {
        self.with(|target| target.to(rooms))
    }

    /// Excludes the sockets that are in any of the rooms.
    #[must_use]
    pub fn except(&self, rooms: impl Rooms) -> Self {
        self.with(|target| target.except(rooms))
    }

    /// Makes events volatile: they are dropped for each client that cannot be written to at once.
    #[must_use]
    pub fn volatile(&self) -> Self {
        self.with(EmitterTarget::volatile)
    }

    /// Sends events to clients without compression.
    #[must_use]
    pub fn uncompressed(&self) -> Self {
        self.with(EmitterTarget::uncompressed)
    }

    fn with(&self, change: impl FnOnce(EmitterTarget) -> EmitterTarget) -> Self {
        let target = change(self.target.clone());
        let (via, names) = (self.via.clone(), self.names.clone());
        Self { via, names, target }
    }

    /// Returns an emitter whose operations are part of a transaction, or use a client that the program has already.
    #[must_use]
    pub fn within<'a, G: GenericClient + Sync>(&self, client: &'a G) -> Emitter<Within<'a, G>> {
        Emitter {
            via: Within(client),
            names: self.names.clone(),
            target: self.target.clone(),
        }
    }
}

impl<C> Emitter<C> {
    /// Sends an event to all selected sockets when a transaction commits. If it rolls back, nothing is sent. A `Client`
    /// may take the place of the transaction.
    ///
    /// Arguments are as in `Socket::emit`: a tuple is several, any other value one. An event never makes PostgreSQL
    /// abort the transaction for its size: a large one is written to the table, as part of the transaction.
    ///
    /// # Errors
    ///
    /// Fails if the event cannot be encoded or has no channel; the transaction goes on. Fails if PostgreSQL refuses the
    /// statement, which aborts the transaction.
    pub async fn emit_in<T: Serialize>(
        &self,
        transaction: &(impl GenericClient + Sync),
        event: impl AsRef<str>,
        args: T,
    ) -> Result<(), EmitError> {
        self.send(
            &Within(transaction),
            self.target.event(event.as_ref(), &args)?,
        )
        .await
    }

    /// Returns the statement that sends an event, for transactions of other libraries, or `None` if an empty list of
    /// rooms is selected. It has two parameters, the channel as `text` and the payload as `bytea`:
    ///
    /// ```
    /// # fn main() -> Result<(), axum_socketio_postgres::EmitError> {
    /// use axum_socketio_postgres::{Emitter, Statement};
    ///
    /// let emitter = Emitter::detached();
    /// if let Some(Statement { sql, channel, payload, .. }) = emitter.to("order 7").statement("paid", 7)? {
    ///     // With sqlx: sqlx::query(&sql).bind(channel).bind(payload).execute(&mut *transaction).await?;
    ///     # let _ = (sql, channel, payload);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the event cannot be encoded or has no channel.
    pub fn statement<T: Serialize>(
        &self,
        event: impl AsRef<str>,
        args: T,
    ) -> Result<Option<Statement>, EmitError> {
        let message = self.target.event(event.as_ref(), &args)?;
        let statement = message.map(|message| Statement::new(&self.names, &message));
        statement.transpose()
    }

    async fn send(
        &self,
        via: &impl Via,
        message: Option<EmitterMessage<'_>>,
    ) -> Result<(), EmitError> {
        match message {
            Some(message) => via.execute(&Statement::new(&self.names, &message)?).await,
            None => Ok(()),
        }
    }
}

#[expect(private_bounds, reason = "the ways of sending are those of this crate")]
impl<C: Via> Emitter<C> {
    /// Sends an event to all selected sockets. Arguments are as in `Socket::emit`: a tuple is several, any other value
    /// one. When this returns, PostgreSQL has taken the event.
    ///
    /// # Errors
    ///
    /// Fails if the event cannot be encoded or has no channel, or if PostgreSQL does not answer or refuses it.
    pub async fn emit<T: Serialize>(
        &self,
        event: impl AsRef<str>,
        args: T,
    ) -> Result<(), EmitError> {
        self.send(&self.via, self.target.event(event.as_ref(), &args)?)
            .await
    }

    /// Makes all selected sockets join rooms.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn join(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        self.send(&self.via, self.target.join(rooms)).await
    }

    /// Makes all selected sockets leave rooms.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn leave(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        self.send(&self.via, self.target.leave(rooms)).await
    }

    /// Disconnects all selected sockets from the namespace. Their connections stay open for other namespaces.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn disconnect(&self) -> Result<(), EmitError> {
        self.send(&self.via, self.target.disconnect()).await
    }

    /// Closes the connections of all selected sockets. Node's `disconnectSockets(true)`.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn disconnect_all(&self) -> Result<(), EmitError> {
        self.send(&self.via, self.target.disconnect_all()).await
    }

    /// Sends an event to all servers with the namespace, whose `Namespace::on_server` handles it.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn server_side_emit<T: Serialize>(
        &self,
        event: impl AsRef<str>,
        args: T,
    ) -> Result<(), EmitError> {
        let message = self.target.server_event(event.as_ref(), &args)?;
        self.send(&self.via, Some(message)).await
    }
}

impl<C> fmt::Debug for Emitter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter")
            .field("names", &self.names)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
