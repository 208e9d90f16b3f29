//! Whom a broadcast is for.

use std::sync::Arc;

use crate::protocol::Sid;

/// The name of a room. Cloning shares it.
pub type Room = Arc<str>;

/// What can name rooms: a string, a socket's id, or several of them.
///
/// ```
/// # use axum_socketio::SocketIo;
/// # fn f(io: SocketIo) {
/// io.to("news").emit("tick", 1);
/// io.to(["news", "vip"]).except("muted").emit("tick", 2);
/// io.to(vec![format!("user:{}", 7)]).emit("tick", 3);
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name rooms",
    note = "rooms are named by `&str`, `String`, `Sid`, or an array, slice or `Vec` of them"
)]
pub trait Rooms {
    /// Hands each name to `add`.
    fn for_each(self, add: &mut dyn FnMut(Room));
}

impl Rooms for &str {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        add(self.into());
    }
}

impl Rooms for String {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        add(self.into());
    }
}

impl Rooms for &String {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        add(self.as_str().into());
    }
}

impl Rooms for Room {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        add(self);
    }
}

impl Rooms for &Room {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        add(Arc::clone(self));
    }
}

impl Rooms for Sid {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        add(self.as_str().into());
    }
}

impl<R: Rooms, const N: usize> Rooms for [R; N] {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        self.into_iter().for_each(|rooms| rooms.for_each(add));
    }
}

impl<R: Rooms> Rooms for Vec<R> {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        self.into_iter().for_each(|rooms| rooms.for_each(add));
    }
}

impl<R: Rooms + Clone> Rooms for &[R] {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        self.iter().cloned().for_each(|rooms| rooms.for_each(add));
    }
}

/// The members of any of `rooms` (of all the namespace when there are none), less those of any of `except`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) rooms: Vec<Room>,
    pub(crate) except: Vec<Room>,
    /// The sender of a socket's own broadcast.
    pub(crate) except_id: Option<Sid>,
    pub(crate) volatile: bool,
    /// Only the members on this server.
    pub(crate) local: bool,
}
