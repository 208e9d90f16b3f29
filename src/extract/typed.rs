//! The socket as an argument that sends only the events of its namespace's contract.

use std::any::{TypeId, type_name};

use axum_core::response::{IntoResponse, Response};
use contract::Contract;
use http::StatusCode;

use super::{EventContext, FromEvent, via};
use crate::emit::Typed;

/// The rejection of a [`Typed`] socket: its namespace does not have the contract, because it was not added with
/// [`SocketIoBuilder::contract`](crate::SocketIoBuilder::contract).
#[derive(Debug, thiserror::Error)]
#[error("the namespace {nsp} does not have the contract {contract}")]
pub struct ContractRejection {
    nsp: String,
    contract: &'static str,
}

impl IntoResponse for ContractRejection {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl<S: Sync, P, C: Contract> FromEvent<S, P, via::Event> for Typed<C> {
    type Rejection = ContractRejection;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, ContractRejection> {
        let socket = cx.socket();
        if socket.namespace().handlers.contract == Some(TypeId::of::<C>()) {
            return Ok(Self::new(socket.clone()));
        }
        Err(ContractRejection {
            nsp: socket.nsp().to_owned(),
            contract: type_name::<C>(),
        })
    }
}
