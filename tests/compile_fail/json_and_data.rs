//! `Json` and `Data` both read the data of the event.
//~ a handler takes the data of an event by one `Data<T>` or `Json<T>`
use axum::Json;
use axum_socketio::{Data, Namespace, check_handler};

async fn say(_: Json<String>, _: Data<String>) {}

check_handler!((); say(Json<String>, Data<String>));

fn main() {
    let _: Namespace = Namespace::new().on("say", say);
}
