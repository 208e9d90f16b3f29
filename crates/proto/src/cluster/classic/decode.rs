//! The decoder of messages.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::extension;
use crate::cluster::decode::{Answer, ClientCount, Fetched, Opts, json, names, owned, to_json};
use crate::cluster::decode_error::MessageError;
use crate::cluster::message::{Body, Change, FetchAnswer, Message, Selection, Wanted};
use crate::cluster::names::{Name, check_event, event_name};
use crate::cluster::wire::Channel;

/// Decodes a message that was sent to a channel.
pub(in crate::cluster) fn decode(
    channel: Channel<'_>,
    message: &Bytes,
) -> Result<Message<'static>, MessageError> {
    let (text, attachments) = to_json(message)?;
    let nsp = channel.nsp();
    let (uid, nsp, body) = match channel {
        Channel::Namespace { .. } | Channel::Room { .. } => event(&text)?,
        Channel::Requests { .. } => {
            let request: Request<'_> = serde_json::from_str(&text)?;
            let uid = request.uid.clone().map(owned).unwrap_or_default();
            (uid, nsp.to_owned().into(), request.into_body()?)
        }
        Channel::Server { .. } => {
            let response: Response<'_> = serde_json::from_str(&text)?;
            (
                Cow::Borrowed(""),
                nsp.to_owned().into(),
                response.into_body(&text)?,
            )
        }
    };
    Ok(Message {
        uid,
        nsp,
        body,
        attachments: attachments.into(),
    })
}

/// Returns true if a message has been encoded by a sender with this id. It need not be decoded for that.
pub(in crate::cluster) fn is_from(uid: &str, message: &[u8]) -> bool {
    let uid = uid.as_bytes();
    let text = match message {
        [0x90..=0x9f, rest @ ..] | [0x80..=0x8f, 0xa3, b'u', b'i', b'd', rest @ ..] => rest,
        json => {
            let rest = json.strip_prefix(br#"{"uid":""#);
            let rest = rest.and_then(|rest| rest.strip_prefix(uid));
            return rest.is_some_and(|rest| rest.starts_with(b"\""));
        }
    };
    // A text of less than 32 bytes has its length in the marker.
    text.split_first().is_some_and(|(marker, rest)| {
        let length = usize::from(marker.wrapping_sub(0xa0));
        length < 32 && length == uid.len() && rest.starts_with(uid)
    })
}

/// Reads an event for clients: its sender, namespace and content.
fn event(
    text: &str,
) -> Result<(Cow<'static, str>, Cow<'static, str>, Body<'static>), MessageError> {
    let Event { uid, packet, opts } = serde_json::from_str(text)?;
    let nsp = packet.nsp.clone().map_or(Cow::Borrowed("/"), owned);
    let body = Body::Broadcast {
        args: packet.args()?,
        request: None,
        selection: opts.into(),
        extended: false,
    };
    Ok((owned(uid), nsp, body))
}

/// The array of an event for clients.
struct Event<'a> {
    uid: Cow<'a, str>,
    packet: Packet<'a>,
    opts: Opts,
}

impl<'de> Deserialize<'de> for Event<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of the sender, the packet and its options")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Event<'de>, A::Error> {
        let missing = |at| Error::invalid_length(at, &self);
        let Text(uid) = array.next_element()?.ok_or_else(|| missing(0))?;
        let packet = array.next_element()?.ok_or_else(|| missing(1))?;
        let opts = array.next_element()?.ok_or_else(|| missing(2))?;
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Event { uid, packet, opts })
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Packet<'a> {
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, default)]
    nsp: Option<Cow<'a, str>>,
}

impl Packet<'_> {
    fn args(&self) -> Result<Cow<'static, str>, MessageError> {
        // Old emitters send binary events as such.
        if !matches!(self.kind, 2 | 5) {
            let kind = self.kind;
            return Err(MessageError::content(&format!("packet of type {kind}")));
        }
        check_event(self.data)?;
        Ok(json(self.data))
    }
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow, default)]
    uid: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "requestId")]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    opts: Option<Opts>,
    #[serde(default)]
    rooms: Option<Vec<Name>>,
    #[serde(default)]
    close: Option<bool>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    packet: Option<Packet<'a>>,
    #[serde(borrow, default)]
    sid: Option<Cow<'a, str>>,
    #[serde(default)]
    room: Option<Name>,
    #[serde(borrow, default)]
    wanted: Option<Cow<'a, str>>,
    #[serde(default)]
    ext: u64,
}

fn needed<T>(member: Option<T>, name: &str) -> Result<T, MessageError> {
    member.ok_or_else(|| MessageError::content(&format!("missing field `{name}`")))
}

impl Request<'_> {
    fn into_body(mut self) -> Result<Body<'static>, MessageError> {
        Ok(match self.kind {
            0 => self.fetch(Wanted::Ids)?,
            1 => self.fetch(Wanted::RoomNames)?,
            2..=4 if self.opts.is_none() => self.into_single()?,
            2 => {
                let (selection, rooms) = self.rooms()?;
                Body::Join { selection, rooms }
            }
            3 => {
                let (selection, rooms) = self.rooms()?;
                Body::Leave { selection, rooms }
            }
            4 => Body::Disconnect {
                selection: self.selection()?,
                close: self.close.unwrap_or_default(),
            },
            5 => {
                let wanted = Wanted::named(self.wanted.as_deref());
                self.fetch(wanted)?
            }
            6 => {
                let data = needed(self.data, "data")?;
                event_name(data)?;
                Body::ServerEvent {
                    args: json(data),
                    request: self.id.map(owned),
                    extended: self.ext > 0,
                }
            }
            7 => Body::Broadcast {
                args: needed(self.packet.take(), "packet")?.args()?,
                selection: self.selection()?,
                request: Some(self.id()?),
                extended: self.ext > 0,
            },
            extension::ABANDON => Body::Abandon {
                request: self.id()?,
            },
            extension::INITIAL_HEARTBEAT => Body::InitialHeartbeat,
            extension::HEARTBEAT => Body::Heartbeat,
            extension::CLOSE => Body::Close,
            other => return Err(MessageError::UnknownType(other)),
        })
    }

    fn id(&mut self) -> Result<Cow<'static, str>, MessageError> {
        needed(self.id.take(), "requestId").map(owned)
    }

    fn selection(&mut self) -> Result<Selection<'static>, MessageError> {
        needed(self.opts.take(), "opts").map(Into::into)
    }

    fn rooms(&mut self) -> Result<(Selection<'static>, Vec<Cow<'static, str>>), MessageError> {
        let rooms = needed(self.rooms.take(), "rooms")?;
        Ok((self.selection()?, names(rooms)))
    }

    fn fetch(&mut self, wanted: Wanted) -> Result<Body<'static>, MessageError> {
        let selection = match wanted {
            Wanted::Ids | Wanted::RoomNames => Selection {
                rooms: names(self.rooms.take().unwrap_or_default()),
                ..Selection::default()
            },
            Wanted::Sockets | Wanted::Count | Wanted::Rooms => self.selection()?,
        };
        Ok(Body::Fetch {
            request: self.id()?,
            selection,
            wanted,
        })
    }

    /// Returns the request of an old server about one of its sockets.
    fn into_single(self) -> Result<Body<'static>, MessageError> {
        let room = |room: Option<Name>| needed(room, "room").map(|Name(room)| room.into());
        Ok(Body::Single {
            request: self.id.map(owned),
            sid: needed(self.sid, "sid").map(owned)?,
            change: match self.kind {
                2 => Change::Join(room(self.room)?),
                3 => Change::Leave(room(self.room)?),
                _ => Change::Disconnect(self.close.unwrap_or_default()),
            },
        })
    }
}

/// The members that determine the kind of an answer.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(default, rename = "type")]
    kind: Option<u64>,
    #[serde(borrow, rename = "requestId")]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sockets: Option<&'a RawValue>,
    #[serde(default)]
    rooms: Option<Vec<Name>>,
}

impl Response<'_> {
    fn into_body(self, text: &str) -> Result<Body<'static>, MessageError> {
        match (self.kind, self.sockets, self.rooms) {
            (Some(6), ..) => Ok(Body::ServerAnswer {
                request: owned(self.id),
                answer: self.data.map(json),
                args: self.args.map(json),
            }),
            (Some(8), ..) => Ok(serde_json::from_str::<ClientCount<'_>>(text)?.into_body()),
            (Some(9), ..) => serde_json::from_str::<Answer<'_>>(text)?.into_client_answer(),
            (Some(other), ..) => Err(MessageError::UnknownType(other)),
            (None, Some(sockets), _) => fetched(self.id, sockets, text),
            (None, None, Some(rooms)) => Ok(Body::FetchAnswer {
                request: owned(self.id),
                answer: FetchAnswer::RoomNames(names(rooms)),
            }),
            (None, None, None) => Ok(Body::SingleDone {
                request: owned(self.id),
            }),
        }
    }
}

/// Reads the sockets of an answer: only their ids, or facts.
fn fetched(
    request: Cow<'_, str>,
    sockets: &RawValue,
    text: &str,
) -> Result<Body<'static>, MessageError> {
    match serde_json::from_str::<Vec<Text<'_>>>(sockets.get()) {
        Ok(ids) if !ids.is_empty() => {
            let ids = ids.into_iter().map(|Text(id)| owned(id));
            Ok(Body::FetchAnswer {
                request: owned(request),
                answer: FetchAnswer::Ids(ids.collect()),
            })
        }
        _ => Ok(serde_json::from_str::<Fetched<'_>>(text)?.into_body()),
    }
}
