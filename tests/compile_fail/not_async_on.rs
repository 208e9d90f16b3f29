//! The same, said where the handler is registered.
//~ this function cannot be such a handler
//~ it must be `async`
use axum_socketio::{Data, Namespace};

fn say(_: Data<String>) {}

fn main() {
    let _: Namespace = Namespace::new().on("say", say);
}
