//! A minimum of Socket.IO: packets are decoded and encoded by our codec, texts are returned unchanged.

use std::io;
use std::sync::Arc;

use axum_socketio_proto::engine_io::{Message, Packet};
use axum_socketio_proto::socket_io::{self, Assembler, Event, PacketLimits};
use axum_socketio_proto::websocket::{self, DecoderConfig, FrameDecoder, Header, Opcode};
use bytes::Bytes;

use crate::connection::Protocol;
use crate::handshake::sid;
use crate::rooms::{Member, Rooms};

pub struct Talk {
    decoder: FrameDecoder,
    assembler: Assembler,
    member: Arc<Member>,
    rooms: Arc<Rooms>,
}

impl Protocol for Talk {
    fn receive(&mut self, mut input: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        while let Some(event) = self
            .decoder
            .next_event(&mut input)
            .map_err(io::Error::other)?
        {
            let packet = match event {
                websocket::WebSocketEvent::Text(text) => {
                    Packet::decode_text(text).map_err(io::Error::other)?
                }
                websocket::WebSocketEvent::Binary(data) => Packet::decode_binary(data),
                websocket::WebSocketEvent::Close(_) => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                websocket::WebSocketEvent::Ping(_) | websocket::WebSocketEvent::Pong(_) => continue,
            };
            if let Packet::Message(message) = packet {
                self.message(message, output)?;
            }
        }
        Ok(())
    }
}

impl Talk {
    pub fn new(member: Arc<Member>, rooms: Arc<Rooms>) -> Self {
        Self {
            decoder: FrameDecoder::new(DecoderConfig::default()),
            assembler: Assembler::new(),
            member,
            rooms,
        }
    }

    fn message(&mut self, message: Message, output: &mut Vec<u8>) -> io::Result<()> {
        let packet = self
            .assembler
            .feed(message, &PacketLimits::default())
            .map_err(io::Error::other)?;
        match packet {
            Some(socket_io::Packet::Connect { .. }) => {
                text(output, &["40{\"sid\":\"", sid().as_str(), "\"}"]);
            }
            Some(socket_io::Packet::Event { event, id, .. }) => self.event(&event, id, output)?,
            _ => {}
        }
        Ok(())
    }

    fn event(&self, event: &Event, id: Option<u64>, output: &mut Vec<u8>) -> io::Result<()> {
        let args = event.args();
        match event.name() {
            "echo" | "json" => text(output, &["42", args.json()]),
            "binary" => {
                text(output, &["451-", args.json()]);
                for attachment in args.attachments() {
                    push(output, Opcode::Binary, attachment.len());
                    output.extend_from_slice(attachment);
                }
            }
            "ack" => {
                let list = args.raw().map_err(io::Error::other)?;
                acknowledge(output, id, list.first().copied().unwrap_or_default());
            }
            "join" => {
                for room in args
                    .deserialize::<Vec<String>>()
                    .map_err(io::Error::other)?
                {
                    self.rooms.join(room, &self.member);
                }
                acknowledge(output, id, "");
            }
            "leave" => {
                for room in args
                    .deserialize::<Vec<String>>()
                    .map_err(io::Error::other)?
                {
                    self.rooms.leave(&room, &self.member);
                }
                acknowledge(output, id, "");
            }
            "cast" => {
                let (room, burst, payload): (String, u32, String) =
                    args.deserialize().map_err(io::Error::other)?;
                let frame = encode(&payload)?;
                for _ in 0..burst {
                    self.rooms.cast(&room, &frame);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn acknowledge(output: &mut Vec<u8>, id: Option<u64>, arg: &str) {
    if let Some(id) = id {
        text(output, &["43", &id.to_string(), "[", arg, "]"]);
    }
}

/// Encodes a broadcast, once for all members.
fn encode(payload: &str) -> io::Result<Bytes> {
    let json = serde_json::to_string(&("cast", payload))?;
    let mut frame = Vec::with_capacity(json.len() + 12);
    text(&mut frame, &["42", &json]);
    Ok(frame.into())
}

fn text(output: &mut Vec<u8>, parts: &[&str]) {
    push(
        output,
        Opcode::Text,
        parts.iter().map(|part| part.len()).sum(),
    );
    for part in parts {
        output.extend_from_slice(part.as_bytes());
    }
}

fn push(output: &mut Vec<u8>, opcode: Opcode, len: usize) {
    output.extend_from_slice(Header::new(opcode, len).as_slice());
}
