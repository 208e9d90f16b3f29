//! A part of the state that the state does not have, found at the registration of the handler.
//~ this function cannot be such a handler in a Socket.IO namespace whose state is `AppState`
use axum::extract::State;
use axum_socketio::Namespace;

#[derive(Clone)]
struct AppState;
#[derive(Clone)]
struct Db;

async fn message(_: State<Db>) {}

fn main() {
    let _ = Namespace::<AppState>::new().on("message", message);
}
