//! The admission of a client to a namespace: a CONNECT leads to a socket or to a refusal.

use std::sync::Arc;
use std::task::Context;

use bytestring::ByteString;
use http::Extensions;

use super::dispatch::Dispatch;
use super::expiry::unexpired;
use super::failures::not_admitted;
use super::handlers::Work;
use crate::ids::new_sid;
use crate::metrics::{AdmissionFailure, Counted, Hook};
use crate::namespace::Found;
use crate::outbox::Frame;
use crate::panics::guarded;
use crate::server::OverLimit;
use crate::socket::{
    ConnectOutcome, RecoveryState, Refusal, SessionSearch, Socket, SocketNamespace,
};
use proto::always;
use proto::connection::Violation;
use proto::socket_io::Kind;
use proto::{DisconnectReason, Sid};

/// The session that a client may resume.
enum Resume {
    /// The one that its auth names.
    Ask,
    /// The one that was found at a store. `None` if there are no random bytes.
    Found(Option<Box<RecoveryState>>),
    No,
}

impl Dispatch {
    pub(super) fn connect(
        &mut self,
        nsp: &ByteString,
        auth: Option<ByteString>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        self.connect_as(nsp, auth, Resume::Ask, cx)
    }

    /// Connects a client to a namespace.
    fn connect_as(
        &mut self,
        nsp: &ByteString,
        auth: Option<ByteString>,
        resume: Resume,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        if !self.takes_auth(nsp, auth.as_deref()) {
            return Ok(());
        }
        let Some((found, extensions)) = self.find(nsp) else {
            return Ok(());
        };
        let history = found.members.history();
        let named = { auth.as_deref() }.filter(|_| self.client.revision.is_four());
        let recovery = match (history, resume) {
            (None, _) => Some(None),
            (Some(_), Resume::Found(recovery)) => recovery.map(|found| Some(*found)),
            (Some(history), Resume::No) => RecoveryState::new(history, None).map(Some),
            (Some(history), Resume::Ask) => {
                if let Some(search) = SessionSearch::new(history, named) {
                    return self.search(nsp, auth, (found, extensions), search, cx);
                }
                RecoveryState::new(history, named).map(Some)
            }
        };
        let Some((recovery, id)) = recovery.and_then(|recovery| self.with_id(recovery)) else {
            if self.client.logs.allow() {
                tracing::error!(nsp = &**nsp, "no random bytes for the id of a socket");
            }
            self.refuse(nsp, &Refusal::internal(), AdmissionFailure::InternalError);
            return Ok(());
        };
        let client = Arc::clone(&self.client);
        let socket = Socket::new(id, found, client, auth, extensions, recovery);
        self.admit(nsp, &socket, cx)
    }

    /// Returns the id of a new socket beside its recovery state. `None` if there are no random bytes.
    fn with_id(&self, recovery: Option<RecoveryState>) -> Option<(Option<RecoveryState>, Sid)> {
        let resumed = recovery.as_ref().and_then(RecoveryState::id);
        let id = if self.client.revision.is_four() {
            resumed.or_else(new_sid)?
        } else {
            // Clients of revision 3 do not receive an id, and use that of the session.
            self.client.sid
        };
        Some((recovery, id))
    }

    /// Calls the middleware of a socket, and claims its session, as far as there is something to call and to claim.
    fn admit(
        &mut self,
        nsp: &ByteString,
        socket: &Socket,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        self.router.insert(nsp.clone(), socket.clone());
        self.holds_little = false;
        let recovery = socket.namespace().options.recovery;
        let skips = recovery.is_some_and(|recovery| recovery.skip_middlewares);
        let skips = skips && socket.recovered();
        if !skips && !socket.namespace().handlers.middleware.is_empty() {
            self.run(socket, Work::admit(socket), cx)
        } else if socket.has_to_claim() || socket.has_to_hold_rooms() {
            self.run(socket, Work::claim(socket), cx)
        } else {
            self.admitted(socket, Ok(()), cx)
        }
    }

    /// Searches for the session that a client asks for in the store. A socket that nobody sees stands for the one that
    /// the client will get, and its packets wait behind it.
    fn search(
        &mut self,
        nsp: &ByteString,
        auth: Option<ByteString>,
        (found, extensions): (Arc<SocketNamespace>, Option<Box<Extensions>>),
        search: SessionSearch,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let Some(id) = new_sid() else {
            return self.connect_as(nsp, auth, Resume::No, cx);
        };
        let client = Arc::clone(&self.client);
        let socket = Socket::new(id, found, client, auth, extensions, None);
        self.router.insert(nsp.clone(), socket.clone());
        self.holds_little = false;
        self.run(&socket, Work::search(&socket, search), cx)
    }

    /// Goes on with the admission of a client whose session was searched for.
    pub(super) fn searched(
        &mut self,
        socket: &Socket,
        recovery: Option<Box<RecoveryState>>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        // The client may have left meanwhile.
        if socket.ended().is_some() {
            return Ok(());
        }
        self.readmit(socket, Resume::Found(recovery), cx)
    }

    /// Begins the admission again with the same CONNECT. The events that wait behind it are for the new socket.
    fn readmit(
        &mut self,
        socket: &Socket,
        resume: Resume,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        socket.end(DisconnectReason::ForcedClose);
        self.serial_queues.drop_events_of(socket);
        socket.release();
        self.connect_as(&socket.nsp().into(), socket.auth_text(), resume, cx)
    }

    /// Refuses the client if its auth is too long. Returns false if it is.
    fn takes_auth(&self, nsp: &str, auth: Option<&str>) -> bool {
        let (limit, size) = (self.server.settings.max_auth_len, auth.map_or(0, str::len));
        if size > limit {
            OverLimit::auth(limit, size).report(&self.server, &self.client);
            self.refuse(
                nsp,
                &Refusal::new("auth is too long"),
                AdmissionFailure::AuthTooLong,
            );
        }
        size <= limit
    }

    /// Returns a namespace, and the extensions of the handshake if they differ for it. Refuses the client if there is
    /// no such namespace.
    fn find(&self, nsp: &ByteString) -> Option<(Arc<SocketNamespace>, Option<Box<Extensions>>)> {
        let handshake = self.client.handshake.extensions();
        // Values of the request are cloned for a dynamic namespace, and may panic.
        let found =
            guarded(|| self.server.namespaces.find(nsp, handshake)).unwrap_or_else(|panicked| {
                self.server.report_panic(Hook::ExtensionClone, &panicked);
                Found::Failed
            });
        match found {
            Found::Namespace {
                namespace,
                extensions,
            } => return Some((namespace, extensions)),
            Found::Failed => {
                self.refuse(nsp, &Refusal::internal(), AdmissionFailure::InternalError)
            }
            Found::Nothing => self.refuse(
                nsp,
                &Refusal::invalid_namespace(),
                AdmissionFailure::NoNamespace,
            ),
            Found::TooMany => {
                if self.client.logs.allow() {
                    let limit = self.server.settings.max_dynamic_namespaces;
                    tracing::warn!(
                        sid = %self.client.sid,
                        limit,
                        "a client is refused: too many namespaces of a pattern; see max_dynamic_namespaces"
                    );
                }
                let refusal = Refusal::new("Too many namespaces");
                self.refuse(nsp, &refusal, AdmissionFailure::TooManyNamespaces);
            }
        }
        None
    }

    pub(super) fn admitted(
        &mut self,
        socket: &Socket,
        result: Result<(), Refusal>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        // The client may have left meanwhile. If it joins again, that is another socket.
        if socket.ended().is_some() {
            return Ok(());
        }
        if let Err(refusal) = result.and_then(|()| unexpired(socket)) {
            let (nsp, error) = (socket.nsp(), &*refusal.message);
            tracing::debug!(nsp, error, "connection refused");
            // This leaves the rooms that middleware have joined.
            socket.end(DisconnectReason::ForcedClose);
            self.forget(socket);
            not_admitted(socket, &refusal);
            if self.client.revision.is_four() {
                self.refuse(nsp, &refusal, AdmissionFailure::Middleware);
            } else {
                self.refuse_with(nsp, &refusal.without_object(), AdmissionFailure::Middleware);
            }
            return Ok(());
        }
        match socket.connect() {
            ConnectOutcome::Yes => {}
            ConnectOutcome::Over => return Ok(()),
            ConnectOutcome::Outdated => return self.readmit(socket, Resume::No, cx),
        }
        if socket.expiry().is_some() {
            socket.note_expiry();
        }
        self.server.announce(socket.namespace());
        socket.send_held_events();
        self.joined = true;
        self.server.counters.add(Counted::SocketsConnected, 1);
        match &socket.namespace().handlers.connect {
            Some(handler) => self.run(socket, Work::connect(socket, handler), cx),
            None => {
                self.router.mark_joined(socket);
                Ok(())
            }
        }
    }

    fn refuse(&self, nsp: &str, refusal: &Refusal, reason: AdmissionFailure) {
        let body = always(
            serde_json::to_string(refusal).ok(),
            "texts and raw JSON can be serialized",
        );
        self.refuse_with(nsp, &body, reason);
    }

    fn refuse_with(&self, nsp: &str, body: &str, reason: AdmissionFailure) {
        self.server.counters.add(Counted::SocketsRefused(reason), 1);
        let codec = &self.server.settings.codec;
        let packet = codec.plain(Kind::ConnectError, nsp, Some(body));
        self.client.outbox.push_required(Frame::new(packet));
    }
}
