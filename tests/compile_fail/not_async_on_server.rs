//! A handler of events of other servers that is not `async`.
//~ this function cannot handle events of other servers
//~ it must be `async`
use axum_socketio::Namespace;

fn forget() {}

fn main() {
    let _: Namespace = Namespace::new().on_server("forget", forget);
}
