//! A kind of handler that is not one of this crate.
//~ 1.95: the trait bound `Mine: 
//~ 1.95: is not satisfied
use axum_socketio::handler::Phase;

struct Mine;

impl Phase for Mine {}

fn main() {}
