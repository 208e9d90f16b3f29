//! The seam to an engine, such as Redis, that carries messages between servers.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An engine that carries messages between the servers of a cluster.
///
/// It knows channels and bytes, but not what the bytes mean.
pub trait Wire: fmt::Debug + Send + Sync + 'static {
    /// Connects a server, which passes what arrives to `receiver`.
    fn connect(&self, receiver: Arc<dyn Receiver>) -> Arc<dyn Link>;
}

/// The connection of one server to the engine.
pub trait Link: fmt::Debug + Send + Sync {
    /// Sends a message to the servers that have subscribed to the destination; the sender itself may be among them.
    /// Never waits: a message is queued within a limit.
    ///
    /// # Errors
    ///
    /// Fails if the queue is full, or if the connection has been closed.
    fn publish(&self, to: Destination<'_>, message: Bytes) -> Result<(), PublishError>;

    /// Subscribes to a topic. The future resolves when the engine has confirmed it; the subscription is made even if the
    /// future is dropped.
    fn subscribe(&self, topic: Topic<'_>) -> BoxFuture<'static, Result<(), SubscribeError>>;

    /// Ends a subscription.
    fn unsubscribe(&self, topic: Topic<'_>);

    /// Returns the number of servers, this one included, that have subscribed to a namespace.
    fn servers(&self, nsp: &str) -> BoxFuture<'static, Result<usize, SubscribeError>>;

    /// Closes the connection.
    fn close(&self);
}

/// The receiver of messages. Calls are made one at a time, in the order in which the engine delivers.
pub trait Receiver: Send + Sync + 'static {
    /// Takes a message that was sent to a namespace.
    fn receive(&self, nsp: &str, message: Bytes);
}

/// The subscribers that a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// All servers with a namespace.
    Namespace(&'a str),
    /// All servers with members in a room of a namespace.
    Room(&'a str, &'a str),
    /// The server with this id, about a namespace.
    Server(&'a str, &'a str),
}

/// A set of messages that a server subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'a> {
    /// The messages to a namespace, and those about it to the server with this id.
    Namespace(&'a str, &'a str),
    /// The messages to a room of a namespace.
    Room(&'a str, &'a str),
}

/// The reason for which a message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Too many messages wait to be sent.
    #[error("the queue of messages to other servers is full")]
    Full,
    /// The connection to the engine has been closed.
    #[error("the connection to other servers is closed")]
    Closed,
}

/// The reason for which the engine has not confirmed a request.
#[derive(Debug, thiserror::Error)]
#[error("the engine of the cluster does not answer")]
pub struct SubscribeError(#[source] pub Option<Box<dyn Error + Send + Sync>>);
