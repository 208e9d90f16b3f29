//! An acknowledgement that cannot be serialized.
//~ 1.95: the trait bound `Stats: serde::Serialize` is not satisfied
use axum::Json;
use axum_socketio::{Namespace, check_handler};

struct Stats;

async fn stats() -> Json<Stats> {
    Json(Stats)
}

check_handler!((); stats());

fn main() {
    let _: Namespace = Namespace::new().on("stats", stats);
}
