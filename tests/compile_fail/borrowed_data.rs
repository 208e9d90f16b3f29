//! Data that borrows from the packet.
//~ 1.95: implementation of `serde_core::de::Deserialize` is not general enough
use axum_socketio::{Data, Namespace, check_handler};

async fn say(_: Data<&'static str>) {}

check_handler!((); say(Data<&'static str>));

fn main() {
    let _: Namespace = Namespace::new().on("say", say);
}
