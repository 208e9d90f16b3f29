//! A middleware that keeps a value which cannot be cloned.
//~ 1.95: the trait bound `User: Clone` is not satisfied
use axum::Extension;
use axum_socketio::{Namespace, check_handler};

struct User;

async fn authenticate() -> Extension<User> {
    Extension(User)
}

check_handler!(middleware (); authenticate());

fn main() {
    let _: Namespace = Namespace::new().middleware(authenticate);
}
