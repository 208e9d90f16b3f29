//! A handler that is called instead of named.
//~ this function cannot be such a handler
//~ 1.95: is not implemented for `impl Future<Output = ()>`
use axum_socketio::Namespace;

async fn save() {}

fn main() {
    let _: Namespace = Namespace::new().on("save", save());
}
