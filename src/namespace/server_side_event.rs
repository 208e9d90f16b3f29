//! Events that other servers send.

use std::sync::Arc;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::adapter::BoxFuture;
use crate::metrics::FaultCause;
use crate::outbox::EmitError;
use proto::args::reserved_for_servers;
use proto::{Args, ArgsError, EncodedArgs, Surplus};

/// An event of another server; see [`Namespace::on_server`](crate::Namespace::on_server).
#[derive(Clone, Debug)]
pub struct ServerSideEvent {
    pub(super) nsp: Arc<str>,
    pub(super) event: Box<str>,
    pub(super) args: Args,
    pub(super) surplus: Surplus,
}

impl ServerSideEvent {
    /// Returns the event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.event
    }

    /// Returns the namespace in which the event was sent, with the slash.
    #[must_use]
    pub fn nsp(&self) -> &str {
        &self.nsp
    }

    /// Deserializes the arguments as [`Data`](crate::Data) does: a tuple takes several, any other type the first.
    ///
    /// # Errors
    ///
    /// Fails if the arguments are of another type.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.args.deserialize_with(self.surplus)
    }

    pub(crate) fn args(&self) -> &Args {
        &self.args
    }

    pub(crate) fn surplus(&self) -> Surplus {
        self.surplus
    }
}

/// A handler of events of other servers, with its answer.
pub(crate) type ServerHandler =
    Arc<dyn Fn(ServerSideEvent) -> BoxFuture<Result<Args, ServerSideEventFailure>> + Send + Sync>;

/// The failure of a handler of events of other servers.
#[derive(Debug)]
pub struct ServerSideEventFailure {
    pub(crate) cause: FaultCause,
    pub(crate) error: String,
}

/// Encodes the arguments of an event between servers, without the event's name.
pub(crate) fn server_args<T: Serialize + ?Sized>(event: &str, args: &T) -> Result<Args, EmitError> {
    if reserved_for_servers(event).is_some() {
        return Err(EmitError::Reserved(event.to_owned()));
    }
    let args = EncodedArgs::ack(args).map_err(EmitError::Serialize)?;
    Ok(received(&args))
}

/// Returns encoded arguments as another server receives them.
pub(crate) fn received(args: &EncodedArgs) -> Args {
    Args::new(ByteString::from(args.json()), args.attachments().to_vec())
}
