//! The HTTP routes, which share the state of the events.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum_socketio::SocketIo;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::state::{Chat, Listed, name};

pub async fn rooms(State(chat): State<Chat>) -> Json<Vec<Listed>> {
    Json(chat.lock().list())
}

#[derive(Deserialize)]
pub struct Post {
    from: String,
    text: String,
}

pub async fn post_message(
    State(chat): State<Chat>,
    io: SocketIo,
    Path(room): Path<String>,
    Json(post): Json<Post>,
) -> Result<(StatusCode, Json<Value>), (StatusCode, Json<Value>)> {
    let bad = |text: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": text })));
    let (Some(room), Some(from)) = (name(&room, 32), name(&post.from, 24)) else {
        return Err(bad(
            "A room and a name are needed, neither empty nor too long.",
        ));
    };
    let mut rooms = chat.lock();
    let known = rooms.exists(room);
    let message = rooms
        .post(room, from, &post.text, None, Some("http"))
        .map_err(bad)?;
    io.to(room).emit("message", &message);
    if !known {
        io.emit("room", rooms.listed(room));
    }
    Ok((
        StatusCode::ACCEPTED,
        Json(json!({ "id": message.id, "at": message.at })),
    ))
}
