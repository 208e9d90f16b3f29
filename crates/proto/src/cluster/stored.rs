//! The form of messages that an engine stores beside its channels.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use super::decode::MAX_ATTACHMENTS;
use super::decode_error::MessageError;
use crate::DecodeError;
use crate::socket_io::msgpack;

/// A message in MessagePack, which an engine stores, and the facts that it sends over the channel instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The id of the sender.
    pub uid: String,
    /// The number of the type.
    pub kind: u64,
    /// The whole message.
    pub msgpack: Bytes,
}

impl Stored {
    /// Creates the stored form of an encoded message.
    ///
    /// # Errors
    ///
    /// Fails if the message is malformed.
    pub fn new(message: &Bytes) -> Result<Self, MessageError> {
        if message.first() == Some(&b'{') {
            let json = str::from_utf8(message).map_err(|_| DecodeError::Utf8)?;
            let Head { uid, kind } = serde_json::from_str(json)?;
            return Ok(Self {
                uid: uid.into_owned(),
                kind,
                msgpack: msgpack::from_json(json, &[]).into(),
            });
        }
        let (json, _) = msgpack::to_json(message, MAX_ATTACHMENTS)?;
        let Head { uid, kind } = serde_json::from_str(&json)?;
        Ok(Self {
            uid: uid.into_owned(),
            kind,
            msgpack: message.clone(),
        })
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Body, Message};

    #[test]
    fn json_becomes_messagepack_of_the_same_meaning() {
        let json = Bytes::from_static(
            br#"{"type":5,"data":{"opts":{"rooms":["a"],"except":[],"flags":{}},"rooms":["b"]},"uid":"u","nsp":"/"}"#,
        );
        let stored = Stored::new(&json).unwrap();
        assert_eq!((&*stored.uid, stored.kind), ("u", 5));
        assert_eq!(stored.msgpack.first(), Some(&0x84));
        let decoded = Message::decode(&stored.msgpack, "/").unwrap();
        assert!(matches!(decoded.body, Body::Leave { .. }));
        assert_eq!(Ok(decoded), Message::decode(&json, "/"));
        assert_eq!(Stored::new(&stored.msgpack), Ok(stored));
        assert!(Stored::new(&Bytes::from_static(b"{}")).is_err());
        assert!(Stored::new(&Bytes::from_static(b"\xc1")).is_err());
    }
}
