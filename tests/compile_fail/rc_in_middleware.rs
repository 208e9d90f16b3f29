//! An `Rc`, held over an `.await` of a middleware.
//~ 1.95: future returned by `authenticate` is not `Send`
//~ 1.95: std::future::ready(()).await;
use std::rc::Rc;

use axum_socketio::Namespace;

async fn authenticate() {
    let user = Rc::new(1);
    std::future::ready(()).await;
    drop(user);
}

fn main() {
    let _: Namespace = Namespace::new().middleware(authenticate);
}
