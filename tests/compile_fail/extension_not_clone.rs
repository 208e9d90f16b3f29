//! An extension that cannot be cloned.
//~ `Extension<User>` needs `User` to be `Clone`, `Send`, `Sync`
use axum::Extension;
use axum_socketio::{Namespace, check_handler};

struct User;

async fn whoami(_: Extension<User>) {}

check_handler!((); whoami(Extension<User>));

fn main() {
    let _: Namespace = Namespace::new().on("whoami", whoami);
}
