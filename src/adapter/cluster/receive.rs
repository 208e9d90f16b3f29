//! The messages of other servers.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::runtime::Handle;

use super::Endpoint;
use super::asked::first_and_all;
use super::namespace::{Cluster, MAX_REQUESTS, Waiter};
use crate::adapter::{Facts, LocalSockets, Publication};
use crate::metrics::ClusterLoss;
use crate::rooms::{Room, Scope, Target};
use proto::cluster::{
    Body, Change, Channel, ClientAnswer, FetchAnswer, Message, Selection, Wanted,
};
use proto::{Args, EncodedArgs, Sid};

impl<L: LocalSockets> Endpoint for Cluster<L> {
    fn note_sender(&self, uid: &str, body: &Body<'_>) {
        self.note_server(uid, body);
    }

    fn receive(self: Arc<Self>, message: Message<'static>) {
        let Message {
            uid,
            body,
            attachments,
            nsp,
        } = message;
        match body {
            Body::InitialHeartbeat | Body::Heartbeat | Body::Close => {}
            Body::Broadcast {
                args,
                request,
                selection,
                extended,
            } => {
                let limit = selection.flags.timeout.map(Duration::from_millis);
                let target = target(selection);
                let publication = Publication {
                    args: EncodedArgs::from_json(&args, attachments.into_owned()),
                    target: &target,
                };
                match request {
                    None => drop(self.local.broadcast(publication)),
                    Some(request) => {
                        let (uid, request) = (uid.into_owned(), request.into_owned());
                        self.answer_peer(publication, uid, request, limit, extended);
                    }
                }
            }
            Body::Join { selection, rooms } => self.local.join(&target(selection), &names(rooms)),
            Body::Leave { selection, rooms } => self.local.leave(&target(selection), &names(rooms)),
            Body::Disconnect { selection, close } => {
                self.local.disconnect(&target(selection), scope(close));
            }
            Body::Fetch {
                request,
                selection,
                wanted,
            } => self.answer_fetch(&uid, request, &target(selection), wanted),
            Body::ServerEvent {
                args,
                request,
                extended,
            } => self.handle(PeerEvent {
                args,
                attachments: attachments.into_owned(),
                asker: request.map(|request| Asker {
                    uid,
                    request,
                    extended,
                }),
            }),
            Body::Abandon { request } => self.abandon(&request),
            Body::Single {
                request,
                sid,
                change,
            } => self.change_single(&uid, request, &sid, change),
            body => self.take_answer(Message {
                uid,
                nsp,
                body,
                attachments,
            }),
        }
    }

    fn has_room(&self, room: &str) -> bool {
        self.local.has_room(room)
    }

    fn subscribed(&self) {
        self.greet();
    }

    fn tick(&self) {
        self.pass_time();
    }
}

impl<L: LocalSockets> Cluster<L> {
    fn answer_fetch(&self, uid: &str, request: Cow<'_, str>, target: &Target, wanted: Wanted) {
        let facts;
        let id = |facts: &Facts| Cow::Owned(facts.id.as_str().to_owned());
        let answer = match wanted {
            Wanted::Sockets => {
                facts = self.local.facts(target);
                FetchAnswer::Sockets(facts.iter().map(Facts::for_peers).collect())
            }
            Wanted::Ids => FetchAnswer::Ids(self.local.facts(target).iter().map(id).collect()),
            Wanted::RoomNames => {
                let rooms = self.local.rooms().into_iter();
                let rooms = rooms.map(|(room, _)| Cow::Owned(String::from(&*room)));
                let sockets = self.local.facts(&Target::default());
                FetchAnswer::RoomNames(sockets.iter().map(id).chain(rooms).collect())
            }
            Wanted::Count => FetchAnswer::Count(self.local.count(target) as u64),
            Wanted::Rooms => {
                let rooms = self.local.rooms().into_iter();
                let owned = |room: Room| Cow::Owned(String::from(&*room));
                FetchAnswer::Rooms(
                    rooms
                        .map(|(room, count)| (owned(room), count as u64))
                        .collect(),
                )
            }
        };
        let channel = Channel::Server {
            nsp: &self.nsp,
            uid,
        };
        self.publish_to(channel, Body::FetchAnswer { request, answer }, &[]);
    }

    /// Changes a socket as an old server of Node.js wants it, if this server has it.
    fn change_single(
        &self,
        uid: &str,
        request: Option<Cow<'_, str>>,
        sid: &str,
        change: Change<'_>,
    ) {
        let one = Target {
            rooms: Some(vec![sid.into()]),
            local: true,
            ..Target::default()
        };
        if self.local.count(&one) == 0 {
            return;
        }
        match change {
            Change::Join(room) => self.local.join(&one, &[(*room).into()]),
            Change::Leave(room) => self.local.leave(&one, &[(*room).into()]),
            Change::Disconnect(close) => self.local.disconnect(&one, scope(close)),
        }
        if let Some(request) = request {
            let channel = Channel::Server {
                nsp: &self.nsp,
                uid,
            };
            self.publish_to(channel, Body::SingleDone { request }, &[]);
        }
    }

    /// Starts the handlers for an event of another server, so that they start in the order of the events. Those that
    /// wait go on in a task of their own.
    fn handle(self: &Arc<Self>, event: PeerEvent) {
        let Some((name, rest)) = split_event(&event.args) else {
            return;
        };
        let Some(running) = Running::begin(&self.handling) else {
            self.report_loss(ClusterLoss::Requests);
            return self.answer_event(event.asker, None);
        };
        let args = Args::new(rest.into(), event.attachments);
        let mut answer = self.local.handle(&name, args);
        if let Some(answer) = (&mut answer).now_or_never() {
            return self.answer_event(event.asker, answer.as_ref());
        }
        let this = Arc::downgrade(self);
        let work = async move {
            let answer = answer.await;
            drop(running);
            if let Some(this) = this.upgrade() {
                this.answer_event(event.asker, answer.as_ref());
            }
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(work)),
            Err(_) if self.may_log() => {
                tracing::warn!(
                    nsp = &*self.nsp,
                    event = name,
                    "event of another server not handled: there is no runtime"
                );
            }
            Err(_) => {}
        }
    }

    fn answer_event(&self, asker: Option<Asker>, answer: Option<&Args>) {
        // A server of Node.js has no form for a missing answer: it takes this for an answer, and gets `undefined`.
        let Some(asker) = asker.filter(|asker| asker.extended || answer.is_some()) else {
            return;
        };
        let (first, all) = answer.map(first_and_all).unwrap_or_default();
        let body = Body::ServerAnswer {
            request: asker.request,
            answer: first.map(Cow::Borrowed),
            args: all.map(Cow::Borrowed),
        };
        let channel = Channel::Server {
            nsp: &self.nsp,
            uid: &asker.uid,
        };
        let attachments = answer.map(Args::attachments).unwrap_or_default();
        self.publish_to(channel, body, attachments);
    }

    /// Passes an answer to the request that it belongs to.
    fn take_answer(&self, message: Message<'static>) {
        match message.body {
            Body::ClientCount {
                request,
                count,
                sids,
            } => {
                // A server of Node.js only says how many sockets it asks.
                let unnamed = if sids.is_empty() { count } else { 0 };
                let unnamed = usize::try_from(unnamed).unwrap_or(usize::MAX);
                let sids = sids.iter().filter_map(|sid| sid.parse().ok()).collect();
                self.take_asked(&request, &message.uid, sids, unnamed);
            }
            Body::ClientAnswer {
                request,
                sid,
                answer,
            } => {
                let sid = sid.and_then(|sid| sid.parse().ok());
                let attachments = message.attachments.into_owned();
                self.take_outcome(&request, &message.uid, sid, &answer, attachments);
            }
            Body::FetchAnswer { ref request, .. } | Body::ServerAnswer { ref request, .. } => {
                let (request, uid) = (request.clone(), message.uid.clone());
                let add = |waiter: &mut Waiter| waiter.answers.push(message);
                let complete = self.requests.lock().answer(&request, &uid, add);
                if let Some(waiter) = complete {
                    waiter.finish();
                }
            }
            _ => {}
        }
    }

    /// Passes the outcome for a socket of another server to the collector of the acknowledgements.
    fn take_outcome(
        &self,
        request: &str,
        uid: &str,
        sid: Option<Sid>,
        answer: &ClientAnswer<'_>,
        attachments: Vec<Bytes>,
    ) {
        let mut args = None;
        if let ClientAnswer::Answered { answer, args: all } = answer {
            let json = all.clone().unwrap_or_else(|| format!("[{answer}]").into());
            let answered = Args::new(json.into_owned().into(), attachments);
            args = match sid {
                Some(_) => Some(answered),
                None => self.put_off(request, uid, answered),
            };
            if args.is_none() {
                return;
            }
        }
        let Some(answers) = self.collector(request, uid, sid) else {
            return;
        };
        let sid = sid.unwrap_or(Sid::UNNAMED);
        match answer {
            ClientAnswer::Answered { .. } | ClientAnswer::Left => answers.answer(sid, args),
            ClientAnswer::Unsent => answers.unsent(sid),
        }
    }
}

/// An event of another server.
struct PeerEvent {
    /// The array of the event's name and its arguments.
    args: Cow<'static, str>,
    attachments: Vec<Bytes>,
    asker: Option<Asker>,
}

/// A server that waits for the answer to an event.
struct Asker {
    uid: Cow<'static, str>,
    request: Cow<'static, str>,
    /// True if it is a server of this crate.
    extended: bool,
}

/// A handler that counts as running until this is dropped.
struct Running(Arc<AtomicUsize>);

impl Running {
    /// Returns `None` if too many are running.
    fn begin(handling: &Arc<AtomicUsize>) -> Option<Self> {
        let running = Self(Arc::clone(handling));
        let before = handling.fetch_add(1, Ordering::Relaxed);
        (before < MAX_REQUESTS).then_some(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const fn scope(close: bool) -> Scope {
    if close {
        Scope::Connection
    } else {
        Scope::Namespace
    }
}

fn names(rooms: Vec<Cow<'static, str>>) -> Vec<Room> {
    rooms.into_iter().map(|room| Room::from(&*room)).collect()
}

/// Returns the members on this server that a message selects.
fn target(selection: Selection<'static>) -> Target {
    Target {
        local: true,
        ..selection.into()
    }
}

/// Splits the array of an event into its name and the array of its arguments.
fn split_event(args: &str) -> Option<(String, String)> {
    let list: Vec<&RawValue> = serde_json::from_str(args).ok()?;
    let (name, rest) = list.split_first()?;
    let name = serde_json::from_str(name.get()).ok()?;
    let rest: Vec<_> = rest.iter().map(|value| value.get()).collect();
    Some((name, format!("[{}]", rest.join(","))))
}
