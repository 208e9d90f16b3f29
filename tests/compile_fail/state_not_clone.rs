//! A state that cannot be cloned.
//~ the state `Db` of this namespace holds no `Db`
//~ the whole state needs to be `Clone`
use axum::extract::State;
use axum_socketio::{Namespace, check_handler};

struct Db;

async fn message(_: State<Db>) {}

check_handler!(Db; message(State<Db>));

fn main() {
    let _: Namespace<Db> = Namespace::new().on("message", message);
}
