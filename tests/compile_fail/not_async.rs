//! A handler that is not `async`.
//~ a Socket.IO handler must be `async`: this function returns `()`
use axum_socketio::{Data, Namespace, check_handler};

fn say(_: Data<String>) {}

check_handler!((); say(Data<String>));

fn main() {
    let _: Namespace = Namespace::new().on("say", say);
}
