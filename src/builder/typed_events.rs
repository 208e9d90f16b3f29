//! Handlers of typed events.

use std::future::Future;

use contract::{ClientEvent, EventOf};

use super::Namespace;
use crate::extract::phase;
use crate::handler::{Answers, Handler, Takes};

impl<S: Send + Sync + 'static> Namespace<S> {
    /// Sets the handler of a typed event. One of its arguments is the event itself, and its result is the
    /// acknowledgement that the event declares: [`Answers`] lists the results. Otherwise it is as [`on`](Self::on).
    ///
    /// ```
    /// use axum::Json;
    /// use axum_socketio::contract::{ClientEvent, Shape};
    /// use axum_socketio::{Namespace, Socket};
    /// use serde::Deserialize;
    ///
    /// /// `socket.emit("say", room, text, callback)`
    /// #[derive(Deserialize)]
    /// struct Say(String, String);
    ///
    /// impl ClientEvent for Say {
    ///     const NAME: &'static str = "say";
    ///     const SHAPE: Shape = Shape::Several;
    ///     type Ack = usize;
    /// }
    ///
    /// async fn say(socket: Socket, Say(room, text): Say) -> Json<usize> {
    ///     socket.to(&room).emit("said", &text);
    ///     Json(text.len())
    /// }
    ///
    /// let namespace: Namespace = Namespace::new().on_event(Say::EVENT, say);
    /// ```
    pub fn on_event<E, H, M, At, W>(self, _event: EventOf<E>, handler: H) -> Self
    where
        E: ClientEvent,
        M: Takes<E, At> + 'static,
        H: Handler<S, phase::Event, M>,
        H::Future: Future<Output: Answers<E, E::Ack, W>> + Send,
    {
        self.on(E::NAME, handler)
    }
}
