//! The state of the chat, shared by events and HTTP routes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::FromRef;
use axum_socketio::{Sid, SocketIo};
use serde::Serialize;

/// The number of messages in the history of a room.
const HISTORY: usize = 100;
/// The maximum number of rooms. Any client can create one.
const ROOMS: usize = 1000;
pub const LOBBY: &str = "lobby";

#[derive(Clone, FromRef)]
pub struct AppState {
    pub chat: Chat,
    pub io: SocketIo,
}

#[derive(Clone, Default)]
pub struct Chat(Arc<Mutex<Rooms>>);

#[derive(Default)]
pub struct Rooms {
    rooms: BTreeMap<String, Room>,
    /// The nicknames in use, in lower case.
    nicks: HashMap<String, Holder>,
    posted: u64,
}

#[derive(Default)]
struct Room {
    history: VecDeque<Message>,
    sockets: HashMap<Sid, String>,
    /// The number of sockets of each nickname. The key begins with the nickname in lower case, for the order.
    nicks: BTreeMap<(String, String), usize>,
}

/// The sockets that have a nickname: several of them, if they have the same key.
struct Holder {
    key: Option<String>,
    sockets: HashSet<Sid>,
}

#[derive(Clone, Serialize)]
pub struct Message {
    pub id: String,
    pub room: String,
    pub from: String,
    pub text: String,
    /// The Unix time in milliseconds.
    pub at: u64,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<&'static str>,
}

#[derive(Serialize)]
pub struct Listed {
    name: String,
    online: usize,
    /// True if the room has been removed from the list.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

/// Returns a trimmed text of 1 to `max` characters, without control characters.
pub fn name(text: &str, max: usize) -> Option<&str> {
    let name = text.trim();
    let fits =
        !name.is_empty() && name.chars().count() <= max && !name.chars().any(char::is_control);
    fits.then_some(name)
}

impl Chat {
    pub fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    /// Returns true if a client with this key may have this nickname.
    pub fn may_take(&self, nick: &str, key: Option<&str>) -> bool {
        let holder = self.nicks.get(&nick.to_lowercase());
        holder.is_none_or(|holder| key.is_some() && holder.key.as_deref() == key)
    }

    /// Assigns a nickname to a socket. Returns false if another client has taken it meanwhile.
    pub fn take(&mut self, nick: &str, key: Option<String>, socket: Sid) -> bool {
        if !self.may_take(nick, key.as_deref()) {
            return false;
        }
        let holder = self.nicks.entry(nick.to_lowercase());
        let holder = holder.or_insert_with(|| Holder {
            key,
            sockets: HashSet::new(),
        });
        holder.sockets.insert(socket)
    }

    pub fn give_back(&mut self, nick: &str, socket: Sid) {
        let nick = nick.to_lowercase();
        if let Some(holder) = self.nicks.get_mut(&nick) {
            holder.sockets.remove(&socket);
            if holder.sockets.is_empty() {
                self.nicks.remove(&nick);
            }
        }
    }

    pub fn list(&self) -> Vec<Listed> {
        let lobby = (!self.rooms.contains_key(LOBBY)).then_some(LOBBY);
        let mut names: Vec<_> = self.rooms.keys().map(String::as_str).chain(lobby).collect();
        names.sort_unstable();
        names.into_iter().map(|name| self.listed(name)).collect()
    }

    /// Returns the current entry of a room in the list.
    pub fn listed(&self, name: &str) -> Listed {
        Listed {
            name: name.to_owned(),
            online: self.rooms.get(name).map_or(0, |room| room.nicks.len()),
            gone: !self.exists(name),
        }
    }

    pub fn exists(&self, room: &str) -> bool {
        room == LOBBY || self.rooms.contains_key(room)
    }

    fn open(&mut self, room: &str) -> Result<&mut Room, &'static str> {
        if !self.rooms.contains_key(room) && self.rooms.len() >= ROOMS {
            return Err("There are too many rooms.");
        }
        Ok(self.rooms.entry(room.to_owned()).or_default())
    }

    /// Adds a socket to a room. Returns true if the nickname is new in the room.
    pub fn enter(&mut self, room: &str, socket: Sid, nick: &str) -> Result<bool, &'static str> {
        let room = self.open(room)?;
        if room.sockets.insert(socket, nick.to_owned()).is_some() {
            return Ok(false);
        }
        let sockets = room.nicks.entry(entry(nick)).or_default();
        *sockets += 1;
        Ok(*sockets == 1)
    }

    /// Removes a socket from a room. Returns the nickname if no other socket in the room has it.
    pub fn depart(&mut self, name: &str, socket: Sid) -> Option<String> {
        let room = self.rooms.get_mut(name)?;
        let nick = room.sockets.remove(&socket)?;
        let sockets = room.nicks.get_mut(&entry(&nick))?;
        *sockets -= 1;
        let last = *sockets == 0;
        if last {
            room.nicks.remove(&entry(&nick));
        }
        if room.sockets.is_empty() && room.history.is_empty() {
            self.rooms.remove(name);
        }
        last.then_some(nick)
    }

    pub fn is_in(&self, room: &str, socket: Sid) -> bool {
        self.rooms
            .get(room)
            .is_some_and(|room| room.sockets.contains_key(&socket))
    }

    pub fn rooms_of(&self, socket: Sid) -> Vec<String> {
        let rooms = self
            .rooms
            .iter()
            .filter(|(_, room)| room.sockets.contains_key(&socket));
        rooms.map(|(name, _)| name.clone()).collect()
    }

    /// Returns the nicknames in a room, each once, sorted without regard to case.
    pub fn online(&self, room: &str) -> Vec<String> {
        let nicks = self.rooms.get(room).into_iter();
        let nicks = nicks.flat_map(|room| room.nicks.keys());
        nicks.map(|(_, nick)| nick.clone()).collect()
    }

    pub fn history(&self, room: &str) -> Vec<Message> {
        self.rooms
            .get(room)
            .map(|room| room.history.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Adds a message to the history of a room.
    pub fn post(
        &mut self,
        room: &str,
        from: &str,
        text: &str,
        reference: Option<String>,
        via: Option<&'static str>,
    ) -> Result<Message, &'static str> {
        let text = text.trim();
        match text.chars().count() {
            0 => return Err("The message is empty."),
            1..=2000 => {}
            _ => return Err("The message is longer than 2000 characters."),
        }
        self.posted += 1;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let at = u64::try_from(now.as_millis()).unwrap_or_default();
        // The time makes the id unique across restarts, the number within the millisecond.
        let id = format!("{at}-{}", self.posted);
        let message = Message {
            id,
            room: room.to_owned(),
            from: from.to_owned(),
            text: text.to_owned(),
            at,
            reference,
            via,
        };
        let history = &mut self.open(room)?.history;
        history.push_back(message.clone());
        if history.len() > HISTORY {
            history.pop_front();
        }
        Ok(message)
    }

    /// Returns the message that the same user has posted with the same reference, so that a retry is not posted again.
    pub fn posted(&self, room: &str, from: &str, reference: &str) -> Option<&Message> {
        let mut history = self.rooms.get(room)?.history.iter();
        history
            .find(|message| message.from == from && message.reference.as_deref() == Some(reference))
    }
}

fn entry(nick: &str) -> (String, String) {
    (nick.to_lowercase(), nick.to_owned())
}
