//! Data of a type that cannot be deserialized.
//~ `Message` cannot be read from what a client sends
//~ derive `serde::Deserialize`
use axum_socketio::{Data, Namespace, check_handler};

struct Message;

async fn say(_: Data<Message>) {}

check_handler!((); say(Data<Message>));

fn main() {
    let _: Namespace = Namespace::new().on("say", say);
}
