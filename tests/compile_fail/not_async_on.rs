//! A handler that is not `async`, found at the registration of the handler.
//~ this function cannot be such a handler
//~ it must be `async`
use axum_socketio::{Data, Namespace};

fn say(_: Data<String>) {}

fn main() {
    let _: Namespace = Namespace::new().on("say", say);
}
