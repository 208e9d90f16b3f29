//! Several arguments that serde converts to something else.
//~ the fields of this struct are the arguments of the event, so it cannot have `#[serde(into)]`
use axum_socketio::contract::ServerEvent;

#[derive(Clone, serde::Serialize, ServerEvent)]
#[serde(rename_all(serialize = "camelCase"), into = "String")]
#[event("said")]
struct Said(u8, u8);

impl From<Said> for String {
    fn from(Said(a, b): Said) -> Self {
        format!("{a}{b}")
    }
}

fn main() {}
