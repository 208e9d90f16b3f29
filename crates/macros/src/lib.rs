//! The derives of typed events. `axum-socketio-contract` and `axum-socketio` re-export them with the feature `macros`,
//! and document them; do not depend on this crate directly.

mod attribute;
mod derive;
mod serde_attributes;

use derive::Side;
use proc_macro::TokenStream;
use quote::quote;

/// Implements `ClientEvent`, in a crate that depends on `axum-socketio-contract`.
#[proc_macro_derive(ClientEvent, attributes(event))]
pub fn client_event(item: TokenStream) -> TokenStream {
    derive::expand(item.into(), Side::Client, &quote!(::axum_socketio_contract)).into()
}

/// Implements `ServerEvent`, in a crate that depends on `axum-socketio-contract`.
#[proc_macro_derive(ServerEvent, attributes(event))]
pub fn server_event(item: TokenStream) -> TokenStream {
    derive::expand(item.into(), Side::Server, &quote!(::axum_socketio_contract)).into()
}

/// Implements `ClientEvent`, in a crate that depends on `axum-socketio`.
#[proc_macro_derive(ClientEventOfServer, attributes(event))]
pub fn client_event_of_server(item: TokenStream) -> TokenStream {
    derive::expand(
        item.into(),
        Side::Client,
        &quote!(::axum_socketio::contract),
    )
    .into()
}

/// Implements `ServerEvent`, in a crate that depends on `axum-socketio`.
#[proc_macro_derive(ServerEventOfServer, attributes(event))]
pub fn server_event_of_server(item: TokenStream) -> TokenStream {
    derive::expand(
        item.into(),
        Side::Server,
        &quote!(::axum_socketio::contract),
    )
    .into()
}
