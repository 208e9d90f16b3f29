//! The handlers of the clients' events.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use axum_socketio::{Ack, Auth, Data, DisconnectReason, Refused, Socket, SocketIo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::state::{Chat, Message, Rooms, name};

/// The user of a socket.
#[derive(Clone)]
pub struct User {
    nick: String,
    key: Option<String>,
}

/// An error that is answered as `{ error }`, with a text for people.
pub struct Failed(&'static str);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({ "error": self.0 }))).into_response()
    }
}

impl From<&'static str> for Failed {
    fn from(text: &'static str) -> Self {
        Self(text)
    }
}

#[derive(Deserialize)]
pub struct Credentials {
    #[serde(default)]
    nick: Value,
    key: Option<String>,
}

fn refuse(code: &str, message: &str) -> Refused {
    Refused::new(message).data(json!({ "code": code }))
}

pub async fn choose_nick(
    State(chat): State<Chat>,
    Auth(auth): Auth<Credentials>,
) -> Result<Extension<User>, Refused> {
    let Value::String(nick) = auth.nick else {
        return Err(refuse("nick_invalid", "A nickname is a text."));
    };
    if nick.trim().is_empty() {
        return Err(refuse("nick_empty", "Please choose a nickname."));
    }
    if nick.trim().chars().count() > 24 {
        return Err(refuse(
            "nick_too_long",
            "That nickname is too long: 24 characters at most.",
        ));
    }
    let Some(nick) = name(&nick, 24) else {
        return Err(refuse(
            "nick_invalid",
            "That nickname has characters that cannot be shown.",
        ));
    };
    if !chat.lock().may_take(nick, auth.key.as_deref()) {
        return Err(refuse("nick_taken", "That nickname is taken."));
    }
    Ok(Extension(User {
        nick: nick.to_owned(),
        key: auth.key,
    }))
}

pub async fn welcome(
    socket: Socket,
    State(chat): State<Chat>,
    Extension(user): Extension<User>,
) -> Result<(), Failed> {
    let mut rooms = chat.lock();
    if !rooms.take(&user.nick, user.key, socket.id()) {
        // Two clients connected at once: the later one is disconnected.
        return Err(Failed("That nickname is taken."));
    }
    socket.emit("rooms", rooms.list());
    Ok(())
}

#[derive(Serialize)]
pub struct Joined {
    room: String,
    history: Vec<Message>,
    online: Vec<String>,
}

pub async fn join(
    socket: Socket,
    State(chat): State<Chat>,
    State(io): State<SocketIo>,
    Extension(user): Extension<User>,
    Data(wanted): Data<String>,
    ack: Ack<Joined>,
) -> Result<(), Failed> {
    let room = name(&wanted, 32).ok_or("A room's name has 1 to 32 characters.")?;
    let mut rooms = chat.lock();
    let is_new = rooms.enter(room, socket.id(), &user.nick)?;
    socket.join(room);
    if is_new {
        let joined = json!({ "room": room, "joined": user.nick });
        socket.to(room).emit("presence", joined);
        tell_the_others(&rooms, &io, room);
    }
    // The whole list, once. No other socket joins while the lock is held, so the next `presence` is sent after it.
    ack.send(Joined {
        room: room.to_owned(),
        history: rooms.history(room),
        online: rooms.online(room),
    });
    Ok(())
}

/// Sends the new entry of a room to all other clients. The members of the room maintain their own list.
fn tell_the_others(rooms: &Rooms, io: &SocketIo, room: &str) {
    io.except(room).emit("room", rooms.listed(room));
}

pub async fn leave(
    socket: Socket,
    State(chat): State<Chat>,
    State(io): State<SocketIo>,
    Data(room): Data<String>,
) -> Json<Value> {
    socket.leave(&room);
    depart(&socket, &mut chat.lock(), &io, &room);
    Json(json!({ "room": room }))
}

fn depart(socket: &Socket, rooms: &mut Rooms, io: &SocketIo, room: &str) {
    if let Some(nick) = rooms.depart(room, socket.id()) {
        let left = json!({ "room": room, "left": nick });
        io.to(room).emit("presence", left);
        tell_the_others(rooms, io, room);
    }
}

#[derive(Deserialize)]
pub struct Said {
    room: String,
    text: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
}

#[derive(Serialize)]
pub struct Posted {
    id: String,
    at: u64,
}

pub async fn message(
    socket: Socket,
    State(chat): State<Chat>,
    Extension(user): Extension<User>,
    Data(said): Data<Said>,
) -> Result<Json<Posted>, Failed> {
    let mut rooms = chat.lock();
    if !rooms.is_in(&said.room, socket.id()) {
        return Err(Failed("Join the room first."));
    }
    if let Some(reference) = &said.reference {
        if reference.chars().count() > 64 {
            return Err(Failed("The ref is too long."));
        }
        if let Some(Message { id, at, .. }) = rooms.posted(&said.room, &user.nick, reference) {
            return Ok(Json(Posted {
                id: id.clone(),
                at: *at,
            }));
        }
    }
    let message = rooms.post(&said.room, &user.nick, &said.text, said.reference, None)?;
    socket.to(&said.room).emit("message", &message);
    Ok(Json(Posted {
        id: message.id,
        at: message.at,
    }))
}

#[derive(Deserialize)]
pub struct Typing {
    room: String,
    typing: bool,
}

pub async fn typing(
    socket: Socket,
    State(chat): State<Chat>,
    Extension(user): Extension<User>,
    Data(Typing { room, typing }): Data<Typing>,
) {
    if chat.lock().is_in(&room, socket.id()) {
        let notice = json!({ "room": room, "from": user.nick, "typing": typing });
        socket.to(&room).emit("typing", notice);
    }
}

pub async fn left(
    socket: Socket,
    State(chat): State<Chat>,
    State(io): State<SocketIo>,
    Extension(user): Extension<User>,
    reason: DisconnectReason,
) {
    // All clients are disconnected and reconnect to the next server, so nobody has left the chat.
    if reason == DisconnectReason::ServerShuttingDown {
        return;
    }
    let mut rooms = chat.lock();
    for room in rooms.rooms_of(socket.id()) {
        depart(&socket, &mut rooms, &io, &room);
    }
    rooms.give_back(&user.nick, socket.id());
}
