//! The decoder of messages.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode_error::MessageError;
use super::message::{
    Body, ClientAnswer, FetchAnswer, Flags, Message, Selection, SocketFacts, Wanted,
};
use super::names::{Name, check_event, event_name};
use crate::DecodeError;
use crate::args::check_placeholders;
use crate::socket_io::msgpack;

/// The maximum number of binary values of a message.
pub(super) const MAX_ATTACHMENTS: usize = 65_536;

impl Message<'static> {
    /// Decodes a message: MessagePack unless the first byte is that of a JSON object. Unknown members are ignored.
    ///
    /// A message without a namespace, which some emitters of Node.js send, is about `nsp`: the one of its channel.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are malformed, if a member is missing or of the wrong type, or if the type is unknown.
    pub fn decode(message: &Bytes, nsp: &str) -> Result<Self, MessageError> {
        let (json, attachments) = to_json(message)?;
        read(&json, nsp, attachments)
    }
}

/// Returns the JSON of a message, which is MessagePack unless it begins as a JSON object, and its attachments.
pub(super) fn to_json(message: &Bytes) -> Result<(Cow<'_, str>, Vec<Bytes>), MessageError> {
    if message.first() == Some(&b'{') {
        let json = str::from_utf8(message).map_err(|_| DecodeError::Utf8)?;
        return Ok((json.into(), Vec::new()));
    }
    let (json, attachments) = msgpack::to_json(message, MAX_ATTACHMENTS)?;
    if !attachments.is_empty() {
        check_placeholders(&json, attachments.len())?;
    }
    Ok((json.into(), attachments))
}

fn read(
    json: &str,
    channel_nsp: &str,
    attachments: Vec<Bytes>,
) -> Result<Message<'static>, MessageError> {
    let Envelope {
        kind,
        data,
        uid,
        nsp,
    } = serde_json::from_str(json)?;
    Ok(Message {
        uid: uid.into_owned().into(),
        nsp: nsp.unwrap_or(channel_nsp.into()).into_owned().into(),
        body: body(kind, data)?,
        attachments: attachments.into(),
    })
}

fn body(kind: u64, data: Option<&RawValue>) -> Result<Body<'static>, MessageError> {
    let data = || data.map_or("null", RawValue::get);
    Ok(match kind {
        1 => Body::InitialHeartbeat,
        2 => Body::Heartbeat,
        3 => serde_json::from_str::<Broadcast<'_>>(data())?.into_body()?,
        4 => {
            let Rooms { opts, rooms } = serde_json::from_str(data())?;
            Body::Join {
                selection: opts.into(),
                rooms: names(rooms),
            }
        }
        5 => {
            let Rooms { opts, rooms } = serde_json::from_str(data())?;
            Body::Leave {
                selection: opts.into(),
                rooms: names(rooms),
            }
        }
        6 => {
            let Disconnect { opts, close } = serde_json::from_str(data())?;
            Body::Disconnect {
                selection: opts.into(),
                close,
            }
        }
        7 => serde_json::from_str::<Fetch<'_>>(data())?.into_body(),
        8 => serde_json::from_str::<Fetched<'_>>(data())?.into_body(),
        9 => serde_json::from_str::<ServerEvent<'_>>(data())?.into_body()?,
        10 => {
            let Answer {
                request,
                packet,
                args,
                ..
            } = serde_json::from_str(data())?;
            Body::ServerAnswer {
                request: owned(request),
                answer: packet.map(json),
                args: args.map(json),
            }
        }
        11 => serde_json::from_str::<ClientCount<'_>>(data())?.into_body(),
        12 => serde_json::from_str::<Answer<'_>>(data())?.into_client_answer()?,
        13 => Body::Close,
        100 => {
            let Abandon { request } = serde_json::from_str(data())?;
            Body::Abandon {
                request: owned(request),
            }
        }
        other => return Err(MessageError::UnknownType(other)),
    })
}

pub(super) fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

pub(super) fn json(value: &RawValue) -> Cow<'static, str> {
    Cow::Owned(value.get().to_owned())
}

pub(super) fn names(rooms: Vec<Name>) -> Vec<Cow<'static, str>> {
    rooms.into_iter().map(|Name(name)| name.into()).collect()
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    nsp: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Broadcast<'a> {
    #[serde(borrow)]
    packet: Packet<'a>,
    #[serde(borrow, default, rename = "requestId")]
    request: Option<Cow<'a, str>>,
    opts: Opts,
    #[serde(default)]
    ext: u64,
}

#[derive(Deserialize)]
struct Packet<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Broadcast<'_> {
    fn into_body(self) -> Result<Body<'static>, MessageError> {
        check_event(self.packet.data)?;
        Ok(Body::Broadcast {
            args: json(self.packet.data),
            request: self.request.map(owned),
            selection: self.opts.into(),
            extended: self.ext > 0,
        })
    }
}

#[derive(Deserialize)]
struct Rooms {
    opts: Opts,
    rooms: Vec<Name>,
}

#[derive(Deserialize)]
struct Disconnect {
    opts: Opts,
    #[serde(default)]
    close: bool,
}

#[derive(Deserialize)]
struct Fetch<'a> {
    opts: Opts,
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
    #[serde(borrow, default)]
    wanted: Option<Cow<'a, str>>,
}

impl Fetch<'_> {
    fn into_body(self) -> Body<'static> {
        Body::Fetch {
            request: owned(self.request),
            selection: self.opts.into(),
            wanted: Wanted::named(self.wanted.as_deref()),
        }
    }
}

impl Wanted {
    pub(super) fn named(name: Option<&str>) -> Self {
        match name {
            Some("count") => Self::Count,
            Some("rooms") => Self::Rooms,
            _ => Self::Sockets,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Fetched<'a> {
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
    #[serde(borrow)]
    sockets: Vec<Facts<'a>>,
    #[serde(default)]
    count: Option<u64>,
    #[serde(borrow, default, rename = "roomCounts")]
    rooms: Option<BTreeMap<Cow<'a, str>, u64>>,
}

#[derive(Deserialize)]
struct Facts<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    handshake: Option<&'a RawValue>,
    rooms: Vec<Name>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl Fetched<'_> {
    pub(super) fn into_body(self) -> Body<'static> {
        let Self {
            request,
            sockets,
            count,
            rooms,
        } = self;
        let answer = match (count, rooms) {
            (Some(count), _) => FetchAnswer::Count(count),
            (None, Some(rooms)) => {
                let rooms = rooms.into_iter();
                FetchAnswer::Rooms(rooms.map(|(room, count)| (owned(room), count)).collect())
            }
            (None, None) => FetchAnswer::Sockets(sockets.into_iter().map(Into::into).collect()),
        };
        Body::FetchAnswer {
            request: owned(request),
            answer,
        }
    }
}

impl From<Facts<'_>> for SocketFacts<'static> {
    fn from(facts: Facts<'_>) -> Self {
        Self {
            id: owned(facts.id),
            handshake: facts.handshake.map_or("{}".into(), json),
            rooms: names(facts.rooms),
            data: facts.data.map_or("{}".into(), json),
        }
    }
}

#[derive(Deserialize)]
struct ServerEvent<'a> {
    #[serde(borrow)]
    packet: &'a RawValue,
    #[serde(borrow, default, rename = "requestId")]
    request: Option<Cow<'a, str>>,
    #[serde(default)]
    ext: u64,
}

impl ServerEvent<'_> {
    fn into_body(self) -> Result<Body<'static>, MessageError> {
        event_name(self.packet)?;
        Ok(Body::ServerEvent {
            args: json(self.packet),
            request: self.request.map(owned),
            extended: self.ext > 0,
        })
    }
}

/// The answer of a server, or of a client.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
    #[serde(borrow, default)]
    packet: Option<&'a RawValue>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    outcome: Option<Cow<'a, str>>,
}

impl Answer<'_> {
    pub(super) fn into_client_answer(self) -> Result<Body<'static>, MessageError> {
        let answer = match (self.outcome.as_deref(), self.packet) {
            (Some("left"), _) => ClientAnswer::Left,
            (Some("unsent"), _) => ClientAnswer::Unsent,
            (Some(other), _) => {
                return Err(MessageError::content(&format!("unknown outcome {other:?}")));
            }
            // A client that acknowledges without arguments: JSON has no `undefined`.
            (None, packet) => ClientAnswer::Answered {
                answer: packet.map_or("null".into(), json),
                args: self.args.map(json),
            },
        };
        Ok(Body::ClientAnswer {
            request: owned(self.request),
            sid: self.sid.map(owned),
            answer,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct ClientCount<'a> {
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
    #[serde(rename = "clientCount")]
    count: u64,
    #[serde(borrow, default)]
    sids: Vec<Cow<'a, str>>,
}

impl ClientCount<'_> {
    pub(super) fn into_body(self) -> Body<'static> {
        Body::ClientCount {
            request: owned(self.request),
            count: self.count,
            sids: self.sids.into_iter().map(owned).collect(),
        }
    }
}

#[derive(Deserialize)]
struct Abandon<'a> {
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(super) struct Opts {
    #[serde(default)]
    rooms: Option<Vec<Name>>,
    #[serde(default)]
    except: Option<Vec<Name>>,
    #[serde(default)]
    flags: Option<FlagMembers>,
}

#[derive(Default, Deserialize)]
struct FlagMembers {
    #[serde(default)]
    volatile: Option<bool>,
    #[serde(default)]
    compress: Option<bool>,
    #[serde(default, rename = "expectSingleResponse")]
    expect_single_response: Option<bool>,
    #[serde(default)]
    timeout: Option<f64>,
}

impl From<Opts> for Selection<'static> {
    fn from(opts: Opts) -> Self {
        let flags = opts.flags.unwrap_or_default();
        Self {
            rooms: names(opts.rooms.unwrap_or_default()),
            except: names(opts.except.unwrap_or_default()),
            flags: Flags {
                volatile: flags.volatile,
                compress: flags.compress,
                expect_single_response: flags.expect_single_response,
                timeout: flags.timeout.map(milliseconds),
            },
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and what is not a number becomes 0"
)]
const fn milliseconds(timeout: f64) -> u64 {
    timeout as u64
}
