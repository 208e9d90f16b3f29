//! A handler of 17 arguments.
//~ this function cannot be such a handler
//~ each of its arguments, 16 at most
use axum_socketio::{Namespace, Socket as S};

#[allow(clippy::too_many_arguments)]
async fn many(
    _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S,
) {
}

fn main() {
    let _: Namespace = Namespace::new().on("many", many);
}
