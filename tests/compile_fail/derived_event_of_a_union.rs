//! A union as an event.
//~ a union cannot be an event: use a struct or an enum
use axum_socketio::contract::ServerEvent;

#[derive(ServerEvent)]
#[event("said")]
union Said {
    a: u8,
    b: i8,
}

fn main() {}
