//! A result that is no acknowledgement.
//~ a Socket.IO handler cannot return `Whatever` here
//~ the handler of an event returns an acknowledgement: `()`, `Json<T>`
use axum_socketio::{Namespace, check_handler};

struct Whatever;

async fn message() -> Whatever {
    Whatever
}

check_handler!((); => Whatever);

fn main() {
    let _: Namespace = Namespace::new().on("message", message);
}
