//! The emitter, for programs without a server and for transactions.

mod error;
mod statement;
mod via;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tokio_postgres::GenericClient;

use proto::EncodedArgs;
use proto::cluster::{Body, EMITTER, Flags, Message, Selection};

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
/// emitter.of("/admin").except("interns").disconnect_sockets().await?;
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
    nsp: Arc<str>,
    rooms: Vec<String>,
    except: Vec<String>,
    flags: Flags,
}

impl Emitter {
    pub(crate) fn over(sessions: Arc<Sessions>, names: Names) -> Self {
        Self::new(Connected(sessions), names)
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
        Self {
            via,
            names,
            nsp: "/".into(),
            rooms: Vec::new(),
            except: Vec::new(),
            flags: Flags::default(),
        }
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
        let nsp = nsp.as_ref();
        let slash = if nsp.starts_with('/') { "" } else { "/" };
        let mut this = self.clone();
        this.nsp = format!("{slash}{nsp}").into();
        this
    }

    /// Adds the sockets that are in a room. A socket's id is a room too. Without rooms, all sockets are selected.
    #[must_use]
    pub fn to(&self, room: impl AsRef<str>) -> Self {
        let mut this = self.clone();
        this.rooms.push(room.as_ref().to_owned());
        this
    }

    /// Excludes the sockets that are in a room.
    #[must_use]
    pub fn except(&self, room: impl AsRef<str>) -> Self {
        let mut this = self.clone();
        this.except.push(room.as_ref().to_owned());
        this
    }

    /// Makes the event volatile: it is dropped for each client that cannot be written to at once.
    #[must_use]
    pub fn volatile(&self) -> Self {
        let mut this = self.clone();
        this.flags.volatile = Some(true);
        this
    }

    /// Returns an emitter whose operations are part of a transaction, or use a client that the program has already.
    #[must_use]
    pub fn within<'a, G: GenericClient + Sync>(&self, client: &'a G) -> Emitter<Within<'a, G>> {
        let this = self.clone();
        Emitter {
            via: Within(client),
            names: this.names,
            nsp: this.nsp,
            rooms: this.rooms,
            except: this.except,
            flags: this.flags,
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
        let statement = self.statement(event, args)?;
        Within(transaction).execute(&statement).await
    }

    /// Returns the statement that sends an event, for transactions of other libraries. It has two parameters, the
    /// channel as `text` and the payload as `bytea`:
    ///
    /// ```
    /// # fn main() -> Result<(), axum_socketio_postgres::EmitError> {
    /// use axum_socketio_postgres::{Emitter, Statement};
    ///
    /// let emitter = Emitter::detached();
    /// let Statement { sql, channel, payload, .. } = emitter.to("order 7").statement("paid", 7)?;
    /// // With sqlx: sqlx::query(&sql).bind(channel).bind(payload).execute(&mut *transaction).await?;
    /// # let _ = (sql, channel, payload);
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
    ) -> Result<Statement, EmitError> {
        let args = EncodedArgs::event(event.as_ref(), &args)?;
        let body = Body::Broadcast {
            args: args.json().into(),
            request: None,
            selection: self.selection(),
            extended: false,
        };
        self.statement_of(body, &args)
    }

    fn statement_of(&self, body: Body<'_>, args: &EncodedArgs) -> Result<Statement, EmitError> {
        let message = Message {
            uid: EMITTER.into(),
            nsp: Cow::Borrowed(&self.nsp),
            body,
            attachments: args.attachments().into(),
        };
        Statement::new(&self.names, &message)
    }

    fn selection(&self) -> Selection<'_> {
        Selection {
            rooms: { self.rooms.iter() }.map(Cow::from).collect(),
            except: { self.except.iter() }.map(Cow::from).collect(),
            flags: self.flags,
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
        let statement = self.statement(event, args)?;
        self.via.execute(&statement).await
    }

    /// Makes all selected sockets join a room.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn sockets_join(&self, room: impl AsRef<str>) -> Result<(), EmitError> {
        self.operate(Body::Join {
            selection: self.selection(),
            rooms: vec![room.as_ref().into()],
        })
        .await
    }

    /// Makes all selected sockets leave a room.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn sockets_leave(&self, room: impl AsRef<str>) -> Result<(), EmitError> {
        self.operate(Body::Leave {
            selection: self.selection(),
            rooms: vec![room.as_ref().into()],
        })
        .await
    }

    /// Disconnects all selected sockets from the namespace. Their connections stay open for other namespaces.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn disconnect_sockets(&self) -> Result<(), EmitError> {
        self.operate(Body::Disconnect {
            selection: self.selection(),
            close: false,
        })
        .await
    }

    /// Closes the connections of all selected sockets. Node's `disconnectSockets(true)`.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn close_connections(&self) -> Result<(), EmitError> {
        self.operate(Body::Disconnect {
            selection: self.selection(),
            close: true,
        })
        .await
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
        let args = EncodedArgs::event(event.as_ref(), &args)?;
        let body = Body::ServerEvent {
            args: args.json().into(),
            request: None,
            extended: false,
        };
        let statement = self.statement_of(body, &args)?;
        self.via.execute(&statement).await
    }

    async fn operate(&self, body: Body<'_>) -> Result<(), EmitError> {
        let nothing = EncodedArgs::ack(&())?;
        let statement = self.statement_of(body, &nothing)?;
        self.via.execute(&statement).await
    }
}

impl<C> fmt::Debug for Emitter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter")
            .field("names", &self.names)
            .field("nsp", &self.nsp)
            .field("rooms", &self.rooms)
            .field("except", &self.except)
            .finish_non_exhaustive()
    }
}
