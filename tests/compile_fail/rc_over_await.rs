//! An `Rc`, held over an `.await` of a closure.
//~ 1.95: future cannot be sent between threads safely
//~ 1.95: std::future::ready(()).await;
//~ 1.95: `Rc<i32>` which is not `Send`
use std::rc::Rc;

use axum_socketio::Namespace;

fn main() {
    let _: Namespace = Namespace::new().on("count", async || {
        let count = Rc::new(1);
        std::future::ready(()).await;
        drop(count);
    });
}
