//! The handler before the event.
//~ 1.95: the trait bound `String: From<
//~ 1.95: .on(save, "save")
use axum_socketio::Namespace;

async fn save() {}

fn main() {
    let _: Namespace = Namespace::new().on(save, "save");
}
