//! The form of sessions that Node.js servers with the adapter for Redis Streams understand.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::MAX_ATTACHMENTS;
use super::decode_error::MessageError;
use super::json::Object;
use super::names::Name;
use super::{Position, SavedSession};
use crate::socket_io::msgpack;
use crate::{DecodeError, Room, Sid};

/// The members that only servers of this crate write: the positions of a session in hexadecimal, and the time at which
/// its socket ends.
const SINCE: &str = "since";
const FLOOR: &str = "floor";
const EXPIRES: &str = "expires";

impl SavedSession {
    /// Encodes the session with its private id: MessagePack in base64.
    #[must_use]
    pub fn encode(&self, pid: Sid) -> String {
        let mut json = Vec::with_capacity(256);
        let mut session = Object::open(&mut json);
        session.text("sid", self.id.as_str());
        session.text("pid", pid.as_str());
        let rooms = self.rooms.iter().map(|room| Cow::Borrowed(&**room));
        let own = std::iter::once(Cow::Borrowed(self.id.as_str()));
        session.texts("rooms", &own.chain(rooms).collect::<Vec<_>>());
        session.json("data", &self.data);
        if let Some(since) = self.since {
            session.text(SINCE, &position_text(since));
        }
        if self.floor != Position::default() {
            session.text(FLOOR, &position_text(self.floor));
        }
        if let Some(expires) = self.expires {
            session.json(EXPIRES, &expires.to_string());
        }
        session.close();
        let packed = msgpack::from_json(&String::from_utf8_lossy(&json), &[]);
        base64_simd::STANDARD.encode_to_string(packed)
    }

    /// Decodes a session with this private id.
    ///
    /// # Errors
    ///
    /// Fails if the text is malformed, if a member is missing or of the wrong type, or if it is the session of another
    /// private id.
    pub fn decode(text: &[u8], pid: Sid) -> Result<Self, MessageError> {
        let packed = base64_simd::STANDARD.decode_to_vec(text);
        let packed = Bytes::from(packed.map_err(|_| DecodeError::Base64)?);
        let (json, attachments) = msgpack::to_json(&packed, MAX_ATTACHMENTS)?;
        let members: Members<'_> = serde_json::from_str(&json)?;
        if members.pid != pid.as_str() {
            return Err(MessageError::content("the session of another private id"));
        }
        let id: Sid = members
            .sid
            .parse()
            .map_err(|_| MessageError::content("sid"))?;
        let rooms = members.rooms.into_iter().map(|Name(name)| name);
        let rooms = rooms.filter(|room| *room != *id.as_str());
        // Binary values have no form in the data of a socket.
        let data = members.data.filter(|_| attachments.is_empty());
        Ok(Self {
            id,
            rooms: rooms.map(|room| Room::from(room.as_str())).collect(),
            data: data.map_or_else(|| "{}".to_owned(), |data| data.get().to_owned()),
            since: members.since.as_deref().and_then(parse_position),
            floor: members
                .floor
                .as_deref()
                .and_then(parse_position)
                .unwrap_or_default(),
            expires: members.expires,
        })
    }
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    sid: Cow<'a, str>,
    #[serde(borrow)]
    pid: Cow<'a, str>,
    rooms: Vec<Name>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    since: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    floor: Option<Cow<'a, str>>,
    #[serde(default)]
    expires: Option<u64>,
}

fn position_text(Position(position): Position) -> String {
    format!("{position:x}")
}

fn parse_position(text: &str) -> Option<Position> {
    u128::from_str_radix(text, 16).ok().map(Position)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that a Node.js server has saved.
    const NODE: &str = "hKNzaWS0TXVlU29KZVcwNWJ1U3hqdUFBQUGjcGlktHpZVWNndk4yWktBSDF5VmZBQUFCpXJvb21zkrRNdWVT\
        b0plVzA1YnVTeGp1QUFBQaVyb29tMaRkYXRhgqR1c2Vyo2JvYqNiaW7EAgEC";

    fn sid(text: &str) -> Sid {
        text.parse().unwrap()
    }

    fn session() -> SavedSession {
        SavedSession {
            id: sid("MueSoJeW05buSxjuAAAA"),
            rooms: vec!["room1".into()],
            data: "{\"user\":\"bob\"}".to_owned(),
            since: Some(Position(7 << 64 | 3)),
            floor: Position(5),
            expires: Some(1_795_420_760_187),
        }
    }

    #[test]
    fn a_session_of_node_is_read() {
        let pid = sid("zYUcgvN2ZKAH1yVfAAAB");
        let read = SavedSession::decode(NODE.as_bytes(), pid).unwrap();
        let expected = SavedSession {
            // It has a binary value.
            data: "{}".to_owned(),
            since: None,
            floor: Position::default(),
            expires: None,
            ..session()
        };
        assert_eq!(read, expected);
        assert!(SavedSession::decode(NODE.as_bytes(), sid("aYUcgvN2ZKAH1yVfAAAB")).is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        let pid = sid("zYUcgvN2ZKAH1yVfAAAB");
        let written = session().encode(pid);
        // The members of Node.js come first, in its order.
        let before = base64_simd::STANDARD.decode_to_vec(NODE).unwrap();
        let after = base64_simd::STANDARD.decode_to_vec(&written).unwrap();
        let common = 1 + 4 + 21 + 4 + 21 + 6 + 1 + 21 + 6 + 5;
        assert_eq!(before[1..common], after[1..common]);
        assert_eq!(SavedSession::decode(written.as_bytes(), pid), Ok(session()));
    }

    #[test]
    fn malformed_sessions_are_errors() {
        let pid = sid("zYUcgvN2ZKAH1yVfAAAB");
        for bad in ["", "?", "gA==", "kA==", "wA=="] {
            assert!(SavedSession::decode(bad.as_bytes(), pid).is_err(), "{bad}");
        }
        let cut = NODE.get(..NODE.len() / 8 * 4).unwrap();
        assert!(SavedSession::decode(cut.as_bytes(), pid).is_err());
    }
}
