//! The data of an event, where there is no event.
//~ `Data<String>` is not an argument that this kind of Socket.IO handler can take
//~ for an event also `Data<T>`
use axum_socketio::{Data, Namespace, check_handler};

async fn welcome(_: Data<String>) {}

check_handler!(connect (); Data<String>);

fn main() {
    let _: Namespace = Namespace::new().on_connect(welcome);
}
