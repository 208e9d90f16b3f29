//! A result that is no acknowledgement.
use axum_socketio::Namespace;

struct Whatever;

async fn message() -> Whatever {
    Whatever
}

fn main() {
    let _: Namespace = Namespace::new().on("message", message);
}
