//! An error that is no response.
//~ 1.95: the trait bound `std::io::Error: axum_core::response::into_response::IntoResponse` is not satisfied
use axum_socketio::{Namespace, check_handler};

async fn save() -> Result<(), std::io::Error> {
    Ok(())
}

check_handler!((); save());

fn main() {
    let _: Namespace = Namespace::new().on("save", save);
}
