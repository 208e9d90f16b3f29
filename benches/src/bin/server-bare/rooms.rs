//! The members of rooms, and the delivery of frames to them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::{Buf, Bytes};

use crate::split::{Split, Writer};

#[derive(Default)]
pub struct Rooms(Mutex<HashMap<String, Vec<Arc<Member>>>>);

impl Rooms {
    pub fn join(&self, room: String, member: &Arc<Member>) {
        lock(&self.0)
            .entry(room)
            .or_default()
            .push(Arc::clone(member));
    }

    pub fn leave(&self, room: &str, member: &Arc<Member>) {
        if let Some(members) = lock(&self.0).get_mut(room) {
            members.retain(|other| !Arc::ptr_eq(other, member));
        }
    }

    pub fn cast(&self, room: &str, frame: &Bytes) {
        for member in lock(&self.0).get(room).into_iter().flatten() {
            member.deliver(frame.clone());
        }
    }
}

/// The sending side of a connection, shared with other connections.
#[derive(Default)]
pub struct Member {
    queue: Mutex<Queue>,
    writer: Option<Writer>,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    waker: Option<Waker>,
}

impl Member {
    /// Creates a member to whose socket the sender's task writes.
    pub fn direct(stream: &Split) -> Self {
        Self {
            queue: Mutex::default(),
            writer: Some(stream.writer()),
        }
    }

    /// Takes the delivered frames, and registers a waker for further ones.
    pub fn take(&self, frames: &mut VecDeque<Bytes>, cx: &mut Context<'_>) {
        let mut queue = lock(&self.queue);
        frames.append(&mut queue.frames);
        match &mut queue.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    fn deliver(&self, mut frame: Bytes) {
        let mut queue = lock(&self.queue);
        if let Some(writer) = &self.writer
            && queue.frames.is_empty()
        {
            // The reader detects an error.
            frame.advance(writer.try_write(&frame).unwrap_or(0));
            if frame.is_empty() {
                return;
            }
        }
        queue.frames.push_back(frame);
        if let Some(waker) = queue.waker.take() {
            drop(queue);
            waker.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
