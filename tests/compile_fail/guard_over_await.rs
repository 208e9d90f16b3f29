//! The guard of a lock, held over an `.await`.
//~ 1.95: future cannot be sent between threads safely
//~ 1.95: future returned by `count` is not `Send`
//~ 1.95: std::future::ready(()).await;
//~ 1.95: `std::sync::MutexGuard<
use std::sync::Mutex;

use axum::extract::State;
use axum_socketio::Namespace;

async fn count(State(count): State<&'static Mutex<u32>>) {
    let mut count = count.lock().unwrap();
    std::future::ready(()).await;
    *count += 1;
}

fn main() {
    let _: Namespace<&'static Mutex<u32>> = Namespace::new().on("count", count);
}
