//! The encoder of messages.

use bytes::Bytes;

use super::extension;
use crate::cluster::encode::msgpack;
use crate::cluster::json::{List, Object};
use crate::cluster::message::{
    Body, Change, ClientAnswer, FetchAnswer, Message, Selection, Wanted, extension as member,
};

/// Encodes a message.
pub(in crate::cluster) fn encode(message: &Message<'_>) -> Bytes {
    let Message {
        uid,
        nsp,
        body,
        attachments,
    } = message;
    let mut json = Vec::with_capacity(256);
    let binary = match body {
        Body::Broadcast {
            args,
            request: None,
            selection,
            ..
        } => {
            write_event(&mut json, uid, nsp, args, selection);
            true
        }
        body => {
            let mut object = Object::open(&mut json);
            write(&mut object, uid, nsp, body);
            object.close();
            matches!(body, Body::Broadcast { .. } | Body::ClientAnswer { .. })
        }
    };
    if binary || !attachments.is_empty() {
        msgpack(&json, attachments)
    } else {
        json.into()
    }
}

fn write_event(json: &mut Vec<u8>, uid: &str, nsp: &str, args: &str, selection: &Selection<'_>) {
    let mut list = List::open(json);
    list.text(uid);
    let mut packet = list.object();
    packet.packet(args, nsp);
    packet.close();
    let mut opts = list.object();
    opts.targets(selection);
    opts.flags(selection.flags);
    opts.close();
    list.close();
}

fn write(object: &mut Object<'_>, uid: &str, nsp: &str, body: &Body<'_>) {
    match body {
        Body::InitialHeartbeat => object.head(uid, None, extension::INITIAL_HEARTBEAT),
        Body::Heartbeat => object.head(uid, None, extension::HEARTBEAT),
        Body::Close => object.head(uid, None, extension::CLOSE),
        Body::Abandon { request } => object.head(uid, Some(request), extension::ABANDON),
        Body::Broadcast {
            args,
            request,
            selection,
            extended,
        } => {
            object.head(uid, request.as_deref(), 7);
            let mut packet = object.object("packet");
            packet.packet(args, nsp);
            packet.close();
            object.selection(selection);
            object.extended(*extended);
        }
        Body::Join { selection, rooms } => {
            object.head(uid, None, 2);
            object.targets_in("opts", selection);
            object.texts("rooms", rooms);
        }
        Body::Leave { selection, rooms } => {
            object.head(uid, None, 3);
            object.targets_in("opts", selection);
            object.texts("rooms", rooms);
        }
        Body::Disconnect { selection, close } => {
            object.head(uid, None, 4);
            object.targets_in("opts", selection);
            object.flag("close", *close);
        }
        Body::Fetch {
            request,
            selection,
            wanted,
        } => write_fetch(object, (uid, request), selection, *wanted),
        Body::ServerEvent {
            args,
            request,
            extended,
        } => {
            object.head(uid, request.as_deref(), 6);
            object.json("data", args);
            object.extended(*extended && request.is_some());
        }
        Body::Single {
            request,
            sid,
            change,
        } => write_single(object, (uid, request.as_deref()), sid, change),
        answer => write_answer(object, answer),
    }
}

fn write_fetch(
    object: &mut Object<'_>,
    (uid, request): (&str, &str),
    selection: &Selection<'_>,
    wanted: Wanted,
) {
    match wanted {
        Wanted::Ids => {
            object.head(uid, Some(request), 0);
            object.texts("rooms", &selection.rooms);
        }
        Wanted::RoomNames => object.head(uid, Some(request), 1),
        Wanted::Sockets | Wanted::Count | Wanted::Rooms => {
            object.head(uid, Some(request), 5);
            object.targets_in("opts", selection);
            match wanted {
                Wanted::Count => object.text(member::WANTED, "count"),
                Wanted::Rooms => object.text(member::WANTED, "rooms"),
                _ => {}
            }
        }
    }
}

fn write_single(
    object: &mut Object<'_>,
    (uid, request): (&str, Option<&str>),
    sid: &str,
    change: &Change<'_>,
) {
    let kind = match change {
        Change::Join(_) => 2,
        Change::Leave(_) => 3,
        Change::Disconnect(_) => 4,
    };
    object.head(uid, request, kind);
    object.text("sid", sid);
    match change {
        Change::Join(room) | Change::Leave(room) => object.text("room", room),
        Change::Disconnect(close) => object.flag("close", *close),
    }
}

/// Writes an answer to a request.
fn write_answer(object: &mut Object<'_>, answer: &Body<'_>) {
    match answer {
        Body::FetchAnswer { request, answer } => {
            object.text("requestId", request);
            match answer {
                FetchAnswer::Ids(ids) => object.texts("sockets", ids),
                FetchAnswer::RoomNames(rooms) => object.texts("rooms", rooms),
                answer => answer.write(object),
            }
        }
        Body::ServerAnswer {
            request,
            answer,
            args,
        } => {
            object.number("type", 6);
            object.text("requestId", request);
            if let Some(answer) = answer {
                object.json("data", answer);
            }
            if let Some(args) = args {
                object.json(member::ARGS, args);
            }
        }
        Body::ClientCount {
            request,
            count,
            sids,
        } => {
            object.number("type", 8);
            object.text("requestId", request);
            object.number("clientCount", *count);
            if !sids.is_empty() {
                object.texts(member::SIDS, sids);
            }
        }
        Body::ClientAnswer {
            request,
            sid,
            answer,
        } => {
            object.number("type", 9);
            object.text("requestId", request);
            match answer {
                ClientAnswer::Answered { answer, args } => {
                    object.json("packet", answer);
                    if let Some(args) = args {
                        object.json(member::ARGS, args);
                    }
                }
                ClientAnswer::Left => object.text(member::OUTCOME, "left"),
                ClientAnswer::Unsent => object.text(member::OUTCOME, "unsent"),
            }
            if let Some(sid) = sid {
                object.text(member::SID, sid);
            }
        }
        Body::SingleDone { request } => object.text("requestId", request),
        _ => {}
    }
}

impl Object<'_> {
    /// Writes the first members of a request.
    fn head(&mut self, uid: &str, request: Option<&str>, kind: u64) {
        if !uid.is_empty() {
            self.text("uid", uid);
        }
        if let Some(request) = request {
            self.text("requestId", request);
        }
        self.number("type", kind);
    }

    fn packet(&mut self, args: &str, nsp: &str) {
        self.number("type", 2);
        self.json("data", args);
        self.text("nsp", nsp);
    }

    fn targets(&mut self, selection: &Selection<'_>) {
        self.texts("rooms", &selection.rooms);
        self.texts("except", &selection.except);
    }

    fn targets_in(&mut self, key: &str, selection: &Selection<'_>) {
        let mut opts = self.object(key);
        opts.targets(selection);
        opts.close();
    }

    fn extended(&mut self, extended: bool) {
        if extended {
            self.number(member::EXTENDED, 1);
        }
    }
}
