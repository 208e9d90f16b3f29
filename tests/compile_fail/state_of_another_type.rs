//! A part of the state that the state does not have.
//~ the state `AppState` of this namespace holds no `Db`
//~ derive `FromRef` on the state
use axum::extract::State;
use axum_socketio::{Namespace, check_handler};

#[derive(Clone)]
struct AppState;
#[derive(Clone)]
struct Db;

async fn message(_: State<Db>) {}

check_handler!(AppState; message(State<Db>));

fn main() {
    let _: Namespace<AppState> = Namespace::new().on("message", message);
}
