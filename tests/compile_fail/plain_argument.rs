//! An argument that is not wrapped in `Data`.
//~ `u32` is not an argument that this kind of Socket.IO handler can take
//~ for an event also `Data<T>`
use axum_socketio::{Namespace, check_handler};

async fn join(_room: u32) {}

check_handler!((); join(u32));

fn main() {
    let _: Namespace = Namespace::new().on("join", join);
}
