//! The form of messages in the streams of Redis.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::decode::to_json;
use super::decode_error::MessageError;
use super::json::Object;
use super::{Body, Message, StoredEvent};
use crate::socket_io::msgpack;
use crate::{DecodeError, Sid};

/// The fields of a message that is an entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// The id of the sender.
    pub uid: String,
    /// The namespace, with its slash.
    pub nsp: String,
    /// The number of the type.
    pub kind: u64,
    /// The content, if there is any: JSON, or MessagePack in base64 if it has binary values.
    pub data: Option<String>,
}

/// The types of entries that only servers of this crate write, and others ignore.
mod kind {
    /// The position of an event for sockets of its server alone.
    pub(super) const MARK: u64 = 102;
    /// A server has claimed a session.
    pub(super) const CLAIM: u64 = 103;
}

/// The meaning of an entry for a store.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamContent {
    /// An event that clients can recover.
    Event(StoredEvent<'static>),
    /// A position without an event.
    Mark,
    /// The private id of a session that a server has claimed.
    Claim(Sid),
    /// Another message.
    Message,
}

impl StreamEntry {
    /// Creates the message of an entry for an event that a server with this id hands to a store. Returns `None` if its
    /// values are nested too deeply.
    #[must_use]
    pub fn of_event(nsp: &str, uid: &str, event: &StoredEvent<'_>) -> Option<Bytes> {
        let body = Body::Broadcast {
            args: Cow::Borrowed(&event.args),
            request: None,
            selection: event.selection.clone(),
            extended: false,
        };
        if event.local {
            return Some(bare(kind::MARK, nsp, uid, None));
        }
        let message = Message {
            uid: uid.into(),
            nsp: nsp.into(),
            attachments: Cow::Borrowed(&event.attachments),
            body,
        };
        (!message.body.is_too_deep()).then(|| message.encode())
    }

    /// Creates the message of an entry by which a server with this id tells that it has claimed a session.
    #[must_use]
    pub fn of_claim(nsp: &str, uid: &str, pid: Sid) -> Bytes {
        bare(kind::CLAIM, nsp, uid, Some(pid))
    }

    /// Returns the meaning of the entry for a store.
    ///
    /// # Errors
    ///
    /// Fails if the content is malformed.
    pub fn content(&self) -> Result<StreamContent, MessageError> {
        match self.kind {
            3 => {}
            kind::MARK => return Ok(StreamContent::Mark),
            kind::CLAIM => {
                let Claim { pid } = serde_json::from_str(self.data.as_deref().unwrap_or_default())?;
                return Ok(StreamContent::Claim(pid));
            }
            _ => return Ok(StreamContent::Message),
        }
        let message = Message::decode(&self.message()?, &self.nsp)?;
        let attachments = message.attachments;
        Ok(match message.body {
            Body::Broadcast {
                args,
                request: None,
                selection,
                ..
            } if selection.flags.volatile != Some(true) => StreamContent::Event(StoredEvent {
                args,
                attachments,
                selection,
                local: false,
            }),
            _ => StreamContent::Message,
        })
    }

    /// Creates the entry of an encoded message of [`Family::Cluster`](super::Family::Cluster).
    ///
    /// # Errors
    ///
    /// Fails if the message is malformed.
    pub fn new(message: &Bytes) -> Result<Self, MessageError> {
        let (json, attachments) = to_json(message)?;
        Ok(Fields::read(&json)?.into_entry(&attachments))
    }

    /// Creates the entry of a message of a server. Returns `None` if it is a request or the answer to one: servers
    /// publish these to channels.
    ///
    /// # Errors
    ///
    /// Fails if the message is malformed.
    pub fn of_server(message: &Bytes) -> Result<Option<Self>, MessageError> {
        let (json, attachments) = to_json(message)?;
        let fields = Fields::read(&json)?;
        let lasts = fields.lasts()?;
        Ok(lasts.then(|| fields.into_entry(&attachments)))
    }

    /// Returns the encoded message.
    ///
    /// # Errors
    ///
    /// Fails if the content is malformed.
    pub fn message(&self) -> Result<Bytes, MessageError> {
        let (data, attachments) = match self.data.as_deref() {
            Some(json) if json.starts_with('{') => (Some(Cow::Borrowed(json)), Vec::new()),
            Some(base64) => {
                let data = base64_simd::STANDARD.decode_to_vec(base64);
                let data = Bytes::from(data.map_err(|_| DecodeError::Base64)?);
                // MessagePack, even if it begins with the byte of a brace.
                let (json, attachments) = msgpack::to_json(&data, super::decode::MAX_ATTACHMENTS)?;
                (Some(Cow::Owned(json)), attachments)
            }
            None => (None, Vec::new()),
        };
        let mut json = Vec::with_capacity(256);
        let mut message = Object::open(&mut json);
        message.number("type", self.kind);
        if let Some(data) = data {
            message.json("data", &data);
        }
        message.text("uid", &self.uid);
        message.text("nsp", &self.nsp);
        message.close();
        Ok(if attachments.is_empty() {
            json.into()
        } else {
            super::encode::msgpack(&json, &attachments)
        })
    }
}

/// Encodes a message that only servers of this crate understand.
fn bare(kind: u64, nsp: &str, uid: &str, pid: Option<Sid>) -> Bytes {
    let mut json = Vec::with_capacity(128);
    let mut message = Object::open(&mut json);
    message.number("type", kind);
    if let Some(pid) = pid {
        let mut data = message.object("data");
        data.text("pid", pid.as_str());
        data.close();
    }
    message.text("uid", uid);
    message.text("nsp", nsp);
    message.close();
    json.into()
}

#[derive(Deserialize)]
struct Claim {
    pid: Sid,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    nsp: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MaybeRequest {
    #[serde(rename = "requestId")]
    request: Option<IgnoredAny>,
}

impl<'a> Fields<'a> {
    fn read(json: &'a str) -> Result<Self, MessageError> {
        Ok(serde_json::from_str(json)?)
    }

    /// Returns true if servers write the message to a stream.
    fn lasts(&self) -> Result<bool, MessageError> {
        Ok(match (self.kind, self.data) {
            (3, Some(data)) => {
                let MaybeRequest { request } = serde_json::from_str(data.get())?;
                request.is_none()
            }
            (kind, _) => matches!(kind, 4..=6),
        })
    }

    fn into_entry(self, attachments: &[Bytes]) -> StreamEntry {
        let text = |data: &RawValue| {
            if attachments.is_empty() {
                data.get().to_owned()
            } else {
                let data = msgpack::from_json(data.get(), attachments);
                base64_simd::STANDARD.encode_to_string(data)
            }
        };
        StreamEntry {
            uid: self.uid.into_owned(),
            nsp: self.nsp.into_owned(),
            kind: self.kind,
            data: self.data.map(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{EMITTER, Stored};

    /// A message of two Node.js servers with the adapter for Redis Streams, or of an emitter.
    #[derive(Deserialize)]
    struct Recorded {
        op: String,
        /// The bytes that were published, in base64.
        payload: Option<String>,
        /// The fields of an entry: `uid`, `nsp`, `type` and `data`.
        entry: Option<(String, String, String, Option<String>)>,
    }

    fn recorded() -> Vec<Recorded> {
        let list = include_str!("../../tests/vectors/stream-messages.json");
        serde_json::from_str(list).unwrap()
    }

    fn entry((uid, nsp, kind, data): (String, String, String, Option<String>)) -> StreamEntry {
        let kind = kind.parse().unwrap();
        StreamEntry {
            uid,
            nsp,
            kind,
            data,
        }
    }

    #[test]
    fn entries_of_node_are_read_and_written_with_the_same_fields() {
        let (mut servers, mut emitters) = (0, 0);
        for Recorded {
            op, entry: fields, ..
        } in recorded()
        {
            let Some(expected) = fields.map(entry) else {
                continue;
            };
            let message = expected.message().unwrap();
            let decoded =
                Message::decode(&message, "/").unwrap_or_else(|error| panic!("{op}: {error}"));
            // The emitter has another order of members. Node.js loses the bytes of an `ArrayBuffer`.
            if expected.uid == EMITTER || op == "emit-arraybuffer" {
                emitters += 1;
                continue;
            }
            servers += 1;
            let written = StreamEntry::of_server(&decoded.encode()).unwrap();
            // A room may be named by a number.
            let named = { expected.data }
                .map(|data| data.replace("[42]", "[\"42\"]").replace(",42]", ",\"42\"]"));
            assert_eq!(
                written,
                Some(StreamEntry {
                    data: named,
                    ..expected
                }),
                "{op}"
            );
        }
        assert_eq!((servers, emitters), (19, 15));
    }

    /// Replaces the room that was named by the number 42.
    fn named_by_text(payload: &[u8]) -> Vec<u8> {
        let number = b"room1\x2a";
        let at = payload
            .windows(number.len())
            .position(|part| part == number);
        let mut bytes = payload.to_vec();
        if let Some(at) = at {
            bytes.splice(at..at + number.len(), *b"room1\xa242");
        }
        bytes
    }

    #[test]
    fn requests_and_answers_of_node_are_no_entries() {
        let mut count = 0;
        for Recorded { op, payload, .. } in recorded() {
            let Some(payload) = payload else { continue };
            let payload = Bytes::from(base64_simd::STANDARD.decode_to_vec(payload).unwrap());
            let message =
                Message::decode(&payload, "/").unwrap_or_else(|error| panic!("{op}: {error}"));
            let encoded = message.encode();
            assert_eq!(StreamEntry::of_server(&encoded), Ok(None), "{op}");
            assert_eq!(
                Stored::new(&encoded).unwrap().msgpack,
                named_by_text(&payload),
                "{op}"
            );
            count += 1;
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn malformed_entries_are_errors() {
        let read = |data: Option<&str>| {
            let fields = (
                "u".to_owned(),
                "/".to_owned(),
                "3".to_owned(),
                data.map(str::to_owned),
            );
            let message = entry(fields).message()?;
            Message::decode(&message, "/").map(|message| message.body)
        };
        for data in [
            None,
            Some(""),
            Some("{"),
            Some("{}"),
            Some("no base64"),
            Some("gA=="),
            Some("gQ=="),
        ] {
            assert!(read(data).is_err(), "{data:?}");
        }
        let good = r#"{"packet":{"type":2,"data":["e"]},"opts":{"rooms":[]}}"#;
        assert!(matches!(read(Some(good)), Ok(Body::Broadcast { .. })));
        assert!(StreamEntry::of_server(&Bytes::from_static(b"{}")).is_err());
    }
}
