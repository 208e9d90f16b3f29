//! The names of rooms.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::Sid;

/// The name of a room. Clones share it.
pub type Room = Arc<str>;

/// A type that names rooms: a string, a socket's id, or several of them.
///
/// `None`, or an empty list, names no room: `io.to(None::<&str>)` reaches no socket. (In Node, `to([])` is every
/// socket.)
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
    note = "rooms are named by `&str`, `String`, `Room`, `Sid`, or an array, slice, `Vec`, set or `Option` of them"
)]
pub trait Rooms {
    /// Calls `add` with each name.
    fn for_each(self, add: &mut dyn FnMut(Room));
}

macro_rules! names {
    ($($name:ty),*) => {$(
        impl Rooms for $name {
            fn for_each(self, add: &mut dyn FnMut(Room)) {
                add(self.into());
            }
        }
    )*};
}

names!(&str, String, Room);

impl Rooms for Sid {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        add(self.as_str().into());
    }
}

macro_rules! collections {
    ($([$($generics:tt)*] $collection:ty),*) => {$(
        impl<$($generics)*> Rooms for $collection {
            fn for_each(self, add: &mut dyn FnMut(Room)) {
                self.into_iter().for_each(|rooms| rooms.for_each(add));
            }
        }
    )*};
}

collections!(
    [R: Rooms, const N: usize] [R; N],
    [R: Rooms] Vec<R>,
    [R: Rooms] Option<R>,
    [R: Rooms] HashSet<R>,
    [R: Rooms] BTreeSet<R>
);

impl<R: Rooms + Clone> Rooms for &[R] {
    fn for_each(self, add: &mut dyn FnMut(Room)) {
        self.iter().cloned().for_each(|rooms| rooms.for_each(add));
    }
}

/// Implements `Rooms` for references, at the price of a clone.
macro_rules! references {
    ($([$($generics:tt)*] $name:ty),*) => {$(
        impl<$($generics)*> Rooms for &$name {
            fn for_each(self, add: &mut dyn FnMut(Room)) {
                self.clone().for_each(add);
            }
        }
    )*};
}

references!(
    [] &str,
    [] String,
    [] Room,
    [] Sid,
    [R: Rooms + Clone, const N: usize] [R; N],
    [R: Rooms + Clone] Vec<R>,
    [R: Rooms + Clone] HashSet<R>,
    [R: Rooms + Clone] BTreeSet<R>
);
