//! The messages of other servers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::runtime::Handle;

use super::Endpoint;
use super::asked::first_and_all;
use super::namespace::{Cluster, ServerRole};
use crate::adapter::{Answers, Facts, LocalSockets, Publication};
use crate::outbox::{Reliability, SendOptions};
use crate::rooms::{Room, Scope, Target};
use proto::cluster::{
    Body, Change, Channel, ClientAnswer, FetchAnswer, Flags, Message, Selection, Wanted,
};
use proto::{Args, EncodedArgs, Sid};

impl<L: LocalSockets> Endpoint for Cluster<L> {
    fn receive(self: Arc<Self>, message: Message<'static>) {
        let Message {
            uid,
            body,
            attachments,
            nsp,
        } = message;
        self.note_sender(&uid, &body);
        if self.role == ServerRole::Observer && !body.is_answer() {
            return;
        }
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
            Body::ServerEvent { args, request, .. } => {
                self.handle(uid, &args, attachments.into_owned(), request);
            }
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

    /// Runs the handlers for an event of another server, in a task of their own.
    fn handle(
        self: &Arc<Self>,
        uid: Cow<'static, str>,
        args: &str,
        attachments: Vec<Bytes>,
        request: Option<Cow<'static, str>>,
    ) {
        let Some((event, rest)) = split_event(args) else {
            return;
        };
        let args = Args::new(rest.into(), attachments);
        let answer = self.local.handle(&event, args);
        let this = Arc::downgrade(self);
        let work = async move {
            let answer = answer.await;
            if let (Some(request), Some(this)) = (request, this.upgrade()) {
                this.answer_event(&uid, request, answer.as_ref());
            }
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(work)),
            Err(_) => {
                tracing::warn!(
                    nsp = &*self.nsp,
                    event,
                    "event of another server not handled: there is no runtime"
                );
            }
        }
    }

    fn answer_event(&self, uid: &str, request: Cow<'_, str>, answer: Option<&Args>) {
        let (first, all) = answer.map(first_and_all).unwrap_or_default();
        let body = Body::ServerAnswer {
            request,
            answer: first.map(Cow::Borrowed),
            args: all.map(Cow::Borrowed),
        };
        let channel = Channel::Server {
            nsp: &self.nsp,
            uid,
        };
        let attachments = answer.map(Args::attachments).unwrap_or_default();
        self.publish_to(channel, body, attachments);
    }

    /// Returns the collector of the acknowledgements to a broadcast, and notes which sockets a server asks: true if it
    /// was expected to say so.
    fn note_asked(
        &self,
        request: &str,
        uid: &str,
        sids: &[Sid],
    ) -> Option<(Arc<dyn Answers>, bool)> {
        let mut all = self.asking.lock();
        let asking = all.get_mut(request)?;
        let was_expected = asking.note(uid, sids);
        Some((Arc::clone(&asking.answers), was_expected))
    }

    fn collector(&self, request: &str) -> Option<Arc<dyn Answers>> {
        let all = self.asking.lock();
        all.get(request).map(|asking| Arc::clone(&asking.answers))
    }

    /// Passes an answer to the request that it belongs to.
    fn take_answer(&self, message: Message<'static>) {
        match message.body {
            Body::ClientCount {
                request,
                count,
                sids,
            } => {
                let sids = asked_sockets(count, &sids);
                let asking = self.note_asked(&request, &message.uid, &sids);
                if let Some((answers, was_expected)) = asking {
                    answers.asked(sids);
                    answers.expect_servers(if was_expected { -1 } else { 0 });
                }
            }
            Body::ClientAnswer {
                request,
                sid,
                answer,
            } => {
                let Some(answers) = self.collector(&request) else {
                    return;
                };
                let sid = sid.and_then(|sid| sid.parse().ok()).unwrap_or(Sid::UNNAMED);
                match answer {
                    ClientAnswer::Answered { answer, args } => {
                        let json = args.unwrap_or_else(|| format!("[{answer}]").into());
                        let attachments = message.attachments.into_owned();
                        let args = Args::new(json.into_owned().into(), attachments);
                        answers.answer(sid, Some(args));
                    }
                    ClientAnswer::Left => answers.answer(sid, None),
                    ClientAnswer::Unsent => answers.unsent(sid),
                }
            }
            Body::FetchAnswer { ref request, .. } | Body::ServerAnswer { ref request, .. } => {
                let (request, uid) = (request.clone(), message.uid.clone());
                let add = |waiter: &mut super::namespace::Waiter| waiter.answers.push(message);
                let complete = self.requests.lock().answer(&request, &uid, add);
                if let Some(waiter) = complete {
                    waiter.finish();
                }
            }
            _ => {}
        }
    }
}

/// The maximum number of sockets that a server may ask without naming them: more is taken for an error.
const MAX_UNNAMED: u64 = 10_000_000;

/// Returns the sockets that a server has sent an event to. A Node.js server says only how many they are.
fn asked_sockets(count: u64, sids: &[Cow<'_, str>]) -> Vec<Sid> {
    if sids.is_empty() {
        let count = usize::try_from(count.min(MAX_UNNAMED)).unwrap_or_default();
        return vec![Sid::UNNAMED; count];
    }
    sids.iter().filter_map(|sid| sid.parse().ok()).collect()
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

/// Returns the target that a message selects.
fn target(selection: Selection<'static>) -> Target {
    Target {
        rooms: (!selection.rooms.is_empty()).then(|| names(selection.rooms)),
        except: names(selection.except),
        except_id: None,
        options: options(&selection.flags),
        local: true,
    }
}

/// Returns the options with which the event of a message is sent.
fn options(flags: &Flags) -> SendOptions {
    let reliability = match flags.volatile {
        Some(true) => Reliability::Volatile,
        Some(false) | None => Reliability::Reliable,
    };
    SendOptions {
        reliability,
        uncompressed: flags.compress == Some(false),
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
