//! A handler that takes the whole request.
//~ is the body of a request, and there is none in a Socket.IO handler
use axum::extract::Request;
use axum_socketio::{Namespace, check_handler};

async fn authenticate(_: Request) {}

check_handler!(middleware (); authenticate(Request));

fn main() {
    let _: Namespace = Namespace::new().middleware(authenticate);
}
