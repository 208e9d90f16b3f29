//! The decisions about clients that connect to a namespace.

use std::fmt;

use http::StatusCode;
use serde::Serialize;
use serde_json::value::{RawValue, Value};

use super::values::SocketValues;
use crate::http::INTERNAL_ERROR;
use crate::logs::TypeName;

/// The decision of a connect middleware: values for the socket to keep, or a refusal.
pub struct Admission(pub(crate) Result<SocketValues, Refusal>);

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission")
            .field(&self.0.as_ref().map(drop))
            .finish()
    }
}

/// The refusal of a connection to a namespace, as its client sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Box<RawValue>>,
    /// True if the handler has panicked.
    #[serde(skip)]
    pub(crate) panicked: bool,
    /// The error's status over HTTP; `None` if the application has refused in terms of Socket.IO.
    #[serde(skip)]
    pub(crate) status: Option<StatusCode>,
    /// The name of the handler that has refused.
    #[serde(skip)]
    pub(crate) handler: Option<TypeName>,
    /// True if the fault is already logged.
    #[serde(skip)]
    pub(crate) reported: bool,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
            panicked: false,
            status: None,
            handler: None,
            reported: false,
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(INTERNAL_ERROR)
    }

    /// Adds the name of the handler that has refused.
    pub(crate) fn named(mut self, handler: TypeName) -> Self {
        self.handler.get_or_insert(handler);
        self
    }

    /// Returns the status if it is a server error.
    pub(crate) fn server_error(&self) -> Option<StatusCode> {
        self.status.filter(StatusCode::is_server_error)
    }

    /// Returns the JSON for clients of revision 3: the data, or else the message.
    pub(crate) fn without_object(&self) -> String {
        match &self.data {
            Some(data) => data.get().to_owned(),
            None => Value::from(&*self.message).to_string(),
        }
    }

    pub(crate) fn panicked() -> Self {
        Self {
            panicked: true,
            ..Self::internal()
        }
    }

    /// Builds the refusal for a namespace that does not exist.
    pub(crate) fn invalid_namespace() -> Self {
        Self::new("Invalid namespace")
    }
}

/// The result of a connect or disconnect handler.
#[derive(Debug)]
pub struct Done(pub(crate) Result<(), Refusal>);
