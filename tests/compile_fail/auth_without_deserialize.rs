//! Auth of a type that cannot be deserialized.
//~ `Token` cannot be read from what a client sends
use axum_socketio::{Auth, Namespace, check_handler};

struct Token;

async fn authenticate(_: Auth<Token>) {}

check_handler!(middleware (); authenticate(Auth<Token>));

fn main() {
    let _: Namespace = Namespace::new().middleware(authenticate);
}
