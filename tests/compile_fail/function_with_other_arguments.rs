//! `check_handler!` with other arguments than the function has.
//~ 1.95: mismatched types
use axum_socketio::{Data, check_handler};

async fn say(_: Data<u32>) {}

check_handler!((); say(Data<String>));

fn main() {}
