//! The data of an event, where there is no event.
use axum_socketio::{Data, Namespace};

async fn welcome(_: Data<String>) {}

fn main() {
    let _: Namespace = Namespace::new().on_connect(welcome);
}
