//! A handler of events of other servers whose wrong argument is found by name.
//~ `Socket` is not an argument that a handler of `on_server` can take
//~ not an argument for an event of another server, where the state is `()`
use axum_socketio::{Data, Socket, check_handler};

async fn forget(_: Socket, _: Data<String>) {}

check_handler!(server (); forget(Socket, Data<String>));

fn main() {}
