//! The client side of Engine.IO and Socket.IO, without IO: the packets that a connection has received.

use std::collections::{HashMap, VecDeque};

use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ConnectError, Disconnected};
use proto::engine_io::{Message, Packet as EnginePacket};
use proto::socket_io::{Decoding, Packet, PacketLimits};
use proto::{Args, DecodeError, Sid};

/// The state of a connection.
#[derive(Debug)]
pub(super) struct ClientState {
    decoding: Decoding,
    sockets: HashMap<ByteString, ClientSocket>,
    pub(super) answers_pings: bool,
    pub(super) reads: bool,
    /// The number of packets sent. `taken` counts those that the server has processed.
    pub(super) sent: u64,
    pub(super) taken: u64,
    pub(super) ended: Option<Disconnected>,
}

/// The private id of a socket and the last offset received, with which a client resumes.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Back {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<String>,
}

/// A received event.
#[derive(Debug)]
pub(super) struct Came {
    /// The id of the acknowledgement that the server requests.
    pub(super) id: Option<u64>,
    pub(super) name: String,
    pub(super) args: Args,
    /// The complete event as JSON, for error messages.
    pub(super) json: String,
}

/// The packets that were received in a namespace.
#[derive(Debug, Default)]
pub(super) struct ClientSocket {
    /// The server's answer to CONNECT.
    pub(super) joined: Option<Result<Sid, ConnectError>>,
    pub(super) recovered: bool,
    pub(super) back: Back,
    /// Events that the test has not asked for yet.
    pub(super) events: VecDeque<Came>,
    /// Acknowledgements that the test has not asked for yet, by the id of the event.
    pub(super) answers: HashMap<u64, Args>,
    /// The id of the last event that requested an acknowledgement.
    pub(super) next_ack: u64,
    pub(super) ended: Option<Disconnected>,
}

impl ClientState {
    pub(super) fn new(decoding: Decoding) -> Self {
        Self {
            decoding,
            sockets: HashMap::new(),
            answers_pings: true,
            reads: true,
            sent: 0,
            taken: 0,
            ended: None,
        }
    }

    /// Returns the socket of a namespace, creating it if needed.
    pub(super) fn socket(&mut self, nsp: &str) -> &mut ClientSocket {
        self.sockets.entry(nsp.into()).or_default()
    }

    /// Begins to join a namespace. Returns false if it was joined before: each namespace can be joined once.
    pub(super) fn join(&mut self, nsp: &ByteString, back: Back) -> bool {
        let new = !self.sockets.contains_key(nsp);
        if new {
            let ended = self.ended;
            let socket = self.socket(nsp);
            socket.ended = ended;
            socket.back = back;
        }
        new
    }

    /// Removes the socket of a namespace that was refused, so that it can be joined again.
    pub(super) fn refused(&mut self, nsp: &str) {
        self.sockets.remove(nsp);
    }

    /// Returns true if no namespace is joined.
    pub(super) fn is_alone(&self) -> bool {
        self.sockets.values().all(|socket| socket.ended.is_some())
    }

    /// Ends the connection and all its sockets.
    pub(super) fn end(&mut self, reason: Disconnected) {
        self.ended.get_or_insert(reason);
        for socket in self.sockets.values_mut() {
            socket.ended.get_or_insert(reason);
        }
    }

    /// Processes a packet and returns the reply to it, if any.
    pub(super) fn receive(&mut self, packet: EnginePacket) -> Option<EnginePacket> {
        match packet {
            EnginePacket::Message(message) => {
                if self.message(message).is_err() {
                    self.end(Disconnected::ParseError);
                }
            }
            EnginePacket::Ping(data) if self.answers_pings => {
                return Some(EnginePacket::Pong(data));
            }
            EnginePacket::Close => self.end(Disconnected::TransportClose),
            EnginePacket::Ping(_)
            | EnginePacket::Open(_)
            | EnginePacket::Pong(_)
            | EnginePacket::Upgrade
            | EnginePacket::Noop => {}
        }
        None
    }

    fn message(&mut self, message: Message) -> Result<(), DecodeError> {
        let Some(packet) = self.decoding.feed(message, &PacketLimits::none())? else {
            return Ok(());
        };
        let socket = self.socket(packet.nsp());
        match packet {
            Packet::Connect { auth, .. } => {
                let joined: Joined = json(&auth.unwrap_or_default())?;
                socket.joined = Some(Ok(joined.sid));
                socket.recovered = joined.pid.is_some() && joined.pid == socket.back.pid;
                socket.back.pid = joined.pid;
            }
            Packet::ConnectError { data, .. } => {
                let Refusal { message, data } = json(&data)?;
                socket.joined = Some(Err(ConnectError::Refused { message, data }));
            }
            Packet::Disconnect { .. } => {
                socket.ended.get_or_insert(Disconnected::ByServer);
            }
            Packet::Event { id, event, .. } => {
                let mut came = Came {
                    id,
                    name: event.name().to_owned(),
                    json: event.args().json().to_owned(),
                    args: event.into_args(),
                };
                if id.is_none() && socket.back.pid.is_some() {
                    let offset = came.take_offset();
                    socket.back.offset = offset.or(socket.back.offset.take());
                }
                socket.events.push_back(came);
            }
            Packet::Ack { id, args, .. } => {
                socket.answers.extend(id.map(|id| (id, args)));
            }
        }
        Ok(())
    }
}

impl Came {
    /// Removes the last argument if it is an offset, so that tests see only the others.
    fn take_offset(&mut self) -> Option<String> {
        let args = self.args.raw().ok()?;
        let (last, others) = args.split_last()?;
        let offset = serde_json::from_str(last).ok()?;
        let array = format!("[{}]", others.join(","));
        self.args = Args::new(array.into(), self.args.attachments().to_vec());
        Some(offset)
    }
}

/// The server's reply to CONNECT if the namespace was joined.
#[derive(Deserialize)]
struct Joined {
    sid: Sid,
    pid: Option<String>,
}

/// The server's reply to CONNECT if the namespace was refused.
#[derive(Deserialize)]
struct Refusal {
    message: String,
    data: Option<Value>,
}

fn json<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|error| DecodeError::Json(error.to_string()))
}

impl ClientSocket {
    /// Takes the oldest event with this name.
    pub(super) fn next(&mut self, name: &str) -> Option<Came> {
        let at = self.events.iter().position(|came| came.name == name)?;
        self.events.remove(at)
    }

    /// Describes the events that the test has not asked for, for error messages.
    pub(super) fn describe(&self) -> String {
        let mut words = match self.events.len() {
            0 => "nothing came".to_owned(),
            _ => "what came instead: ".to_owned(),
        };
        let events: Vec<_> = self.events.iter().map(|came| came.json.as_str()).collect();
        words.push_str(&events.join(", "));
        if let Some(reason) = self.ended {
            words.push_str(&format!("; then the client was disconnected: {reason}"));
        }
        words
    }
}
