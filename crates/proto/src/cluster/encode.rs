//! The encoder of messages.

use bytes::Bytes;

use super::json::Object;
use super::message::{
    Body, ClientAnswer, FetchAnswer, Flags, Message, Selection, SocketFacts, Wanted, extension,
};
use crate::socket_io::msgpack;

impl Message<'_> {
    /// Encodes the message: as JSON, or as MessagePack if it has attachments.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut json = Vec::with_capacity(256);
        let mut message = Object::open(&mut json);
        message.number("type", self.body.kind());
        self.body.write(&mut message);
        message.text("uid", &self.uid);
        message.text("nsp", &self.nsp);
        message.close();
        if self.attachments.is_empty() {
            return json.into();
        }
        msgpack(&json, &self.attachments)
    }
}

/// Converts JSON to MessagePack, with attachments in place of their placeholders.
pub(super) fn msgpack(json: &[u8], attachments: &[Bytes]) -> Bytes {
    msgpack::from_json(&String::from_utf8_lossy(json), attachments).into()
}

impl Body<'_> {
    fn write(&self, message: &mut Object<'_>) {
        if matches!(self, Self::InitialHeartbeat | Self::Heartbeat | Self::Close) {
            return;
        }
        let mut data = message.object("data");
        self.write_data(&mut data);
        data.close();
    }

    fn write_data(&self, data: &mut Object<'_>) {
        match self {
            Self::InitialHeartbeat | Self::Heartbeat | Self::Close => {}
            Self::Broadcast {
                args,
                request,
                selection,
                extended,
            } => {
                let mut packet = data.object("packet");
                packet.number("type", 2);
                packet.json("data", args);
                packet.close();
                data.request(request.as_deref(), *extended);
                data.selection(selection);
            }
            Self::Join { selection, rooms } | Self::Leave { selection, rooms } => {
                data.selection(selection);
                data.texts("rooms", rooms);
            }
            Self::Disconnect { selection, close } => {
                data.selection(selection);
                data.flag("close", *close);
            }
            Self::Fetch {
                request,
                selection,
                wanted,
            } => {
                data.selection(selection);
                data.text("requestId", request);
                match wanted {
                    Wanted::Sockets | Wanted::Ids | Wanted::RoomNames => {}
                    Wanted::Count => data.text(extension::WANTED, "count"),
                    Wanted::Rooms => data.text(extension::WANTED, "rooms"),
                }
            }
            Self::ServerEvent {
                args,
                request,
                extended,
            } => {
                data.request(request.as_deref(), *extended);
                data.json("packet", args);
            }
            Self::Abandon { request } => data.text("requestId", request),
            answer => answer.write_answer(data),
        }
    }

    /// Writes the data of a message that answers a request.
    fn write_answer(&self, data: &mut Object<'_>) {
        match self {
            Self::FetchAnswer { request, answer } => {
                data.text("requestId", request);
                answer.write(data);
            }
            Self::ServerAnswer {
                request,
                answer,
                args,
            } => {
                data.text("requestId", request);
                data.answer(answer.as_deref(), args.as_deref());
            }
            Self::ClientCount {
                request,
                count,
                sids,
            } => {
                data.text("requestId", request);
                data.number("clientCount", *count);
                if !sids.is_empty() {
                    data.texts(extension::SIDS, sids);
                }
            }
            Self::ClientAnswer {
                request,
                sid,
                answer,
            } => {
                data.text("requestId", request);
                match answer {
                    ClientAnswer::Answered { answer, args } => {
                        data.answer(Some(answer), args.as_deref());
                    }
                    ClientAnswer::Left => data.text(extension::OUTCOME, "left"),
                    ClientAnswer::Unsent => data.text(extension::OUTCOME, "unsent"),
                }
                if let Some(sid) = sid {
                    data.text(extension::SID, sid);
                }
            }
            _ => {}
        }
    }
}

impl FetchAnswer<'_> {
    pub(super) fn write(&self, data: &mut Object<'_>) {
        let sockets = match self {
            Self::Sockets(sockets) => sockets.as_slice(),
            _ => &[],
        };
        let mut list = data.list("sockets");
        for SocketFacts {
            id,
            handshake,
            rooms,
            data,
        } in sockets
        {
            let mut socket = list.object();
            socket.text("id", id);
            socket.json("handshake", handshake);
            socket.texts("rooms", rooms);
            socket.json("data", data);
            socket.close();
        }
        list.close();
        match self {
            Self::Sockets(_) | Self::Ids(_) | Self::RoomNames(_) => {}
            Self::Count(count) => data.number(extension::COUNT, *count),
            Self::Rooms(rooms) => {
                let mut counts = data.object(extension::ROOM_COUNTS);
                rooms
                    .iter()
                    .for_each(|(room, count)| counts.number(room, *count));
                counts.close();
            }
        }
    }
}

impl Object<'_> {
    fn request(&mut self, request: Option<&str>, extended: bool) {
        if let Some(request) = request {
            self.text("requestId", request);
            if extended {
                self.number(extension::EXTENDED, 1);
            }
        }
    }

    fn answer(&mut self, first: Option<&str>, all: Option<&str>) {
        if let Some(first) = first {
            self.json("packet", first);
        }
        if let Some(all) = all {
            self.json(extension::ARGS, all);
        }
    }

    pub(super) fn selection(&mut self, selection: &Selection<'_>) {
        let mut opts = self.object("opts");
        opts.texts("rooms", &selection.rooms);
        opts.texts("except", &selection.except);
        opts.flags(selection.flags);
        opts.close();
    }

    pub(super) fn flags(&mut self, flags: Flags) {
        let mut object = self.object("flags");
        for (name, set) in [
            ("volatile", flags.volatile),
            ("compress", flags.compress),
            ("expectSingleResponse", flags.expect_single_response),
        ] {
            if let Some(set) = set {
                object.flag(name, set);
            }
        }
        if let Some(timeout) = flags.timeout {
            object.number("timeout", timeout);
        }
        object.close();
    }
}
