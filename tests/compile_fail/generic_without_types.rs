//! A generic handler without its types.
//~ 1.95: type annotations needed
//~ 1.95: cannot infer type of the type parameter `T` declared on the function `save`
use axum_socketio::{Data, Namespace};
use serde::de::DeserializeOwned;

async fn save<T: DeserializeOwned + Send + 'static>(_: Data<T>) {}

fn main() {
    let _: Namespace = Namespace::new().on("save", save);
}
