//! A middleware that returns a value which it should have wrapped.
//~ a Socket.IO handler cannot return `Result<User, Refused>` here
//~ a middleware returns `()`, `Extension<T>`, a tuple of them
use axum_socketio::{Namespace, Refused, check_handler};

#[derive(Clone)]
struct User;

async fn authenticate() -> Result<User, Refused> {
    Ok(User)
}

check_handler!(middleware (); => Result<User, Refused>);

fn main() {
    let _: Namespace = Namespace::new().middleware(authenticate);
}
