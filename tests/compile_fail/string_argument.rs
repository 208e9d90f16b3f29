//! An argument of text that is not wrapped in `Data`.
//~ is the body of a request, and there is none in a Socket.IO handler
//~ `Data(text): Data<String>`
use axum_socketio::{Namespace, check_handler};

async fn join(_room: String) {}

check_handler!((); join(String));

fn main() {
    let _: Namespace = Namespace::new().on("join", join);
}
