//! Two arguments that both read the data of the event.
//~ a handler takes the data of an event by one `Data<T>` or `Json<T>`
//~ `Data<(A, B)>`
use axum_socketio::{Data, Namespace, check_handler};

async fn say(Data(_room): Data<String>, Data(_text): Data<String>) {}

check_handler!((); say(Data<String>, Data<String>));

fn main() {
    let _: Namespace = Namespace::new().on("say", say);
}
