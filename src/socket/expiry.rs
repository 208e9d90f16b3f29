//! The time at which a socket ends, if the application has set one.

use std::time::{Duration, Instant, SystemTime};

use super::handle::Inner;
use super::{Socket, SocketValue};
use crate::clock::now;
use proto::DisconnectReason;

/// The time at which a socket ends. It is stored like a value of the application, so that a socket without it needs no
/// memory for it, and a resumed session has it as before.
#[derive(Clone, Copy)]
struct Expiry(Instant);

/// Returns the value that holds a time in milliseconds since 1970. `None` if the clock cannot reach it.
pub(super) fn expiry_value(milliseconds: u64) -> Option<SocketValue> {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))?;
    let left = time.duration_since(SystemTime::now()).unwrap_or_default();
    Some(SocketValue::new(Expiry(now().checked_add(left)?)))
}

impl Inner {
    /// Returns the time at which the socket ends, in milliseconds since 1970, if one is set.
    pub(super) fn expires(&self) -> Option<u64> {
        let Expiry(at) = self.request.added_value()?;
        let left = at.saturating_duration_since(now());
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let at = since.unwrap_or_default().checked_add(left)?;
        u64::try_from(at.as_millis()).ok()
    }
}

impl Socket {
    /// Disconnects the socket at this time, unless it is changed or [cleared](Self::clear_expiry) before: the time at
    /// which the token or the HTTP session of the client expires. A later call replaces the time. Node has nothing
    /// like it.
    ///
    /// The socket ends with [`DisconnectReason::Expired`], and its client gets a DISCONNECT packet as from
    /// [`disconnect`](Self::disconnect): official clients report `io server disconnect`, and reconnect only when the
    /// application calls `connect`, with a new token. The session cannot be [resumed](Self::recovered). A client whose
    /// socket expires before middleware have admitted it is refused with the message `expired`.
    ///
    /// The time left is computed by the call; a later change of the system's clock does not affect it. In the past, the
    /// time ends the socket immediately. [`expires_in`](Self::expires_in) takes the time left.
    ///
    /// A resumed session keeps its time, also on another server of a cluster, unless a middleware sets another one.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use axum_socketio::{Auth, Data, Namespace, Refused, Socket};
    /// # use serde::Deserialize;
    ///
    /// /// Returns the `exp` of a valid token, in seconds since 1970.
    /// fn verify(token: &str) -> Result<u64, Refused> {
    ///     token.parse().map_err(|_| Refused::new("not authorized"))
    /// }
    ///
    /// fn expire_with(socket: &Socket, token: &str) -> Result<(), Refused> {
    ///     let seconds = verify(token)?;
    ///     socket.expires_at(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    ///     Ok(())
    /// }
    ///
    /// # #[derive(Deserialize)]
    /// # struct Credentials { token: String }
    /// async fn authenticate(socket: Socket, Auth(auth): Auth<Credentials>) -> Result<(), Refused> {
    ///     expire_with(&socket, &auth.token)
    /// }
    ///
    /// // The client sends a new token before the old one expires.
    /// async fn renew(socket: Socket, Data(token): Data<String>) -> Result<(), Refused> {
    ///     expire_with(&socket, &token)
    /// }
    ///
    /// let namespace: Namespace = Namespace::new().middleware(authenticate).on("renew", renew);
    /// ```
    pub fn expires_at(&self, time: SystemTime) {
        let left = time.duration_since(SystemTime::now()).unwrap_or_default();
        self.expires_in(left);
    }

    /// Disconnects the socket after this time, unless it is changed or [cleared](Self::clear_expiry) before; see
    /// [`expires_at`](Self::expires_at).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use axum_socketio::Socket;
    /// async fn welcome(socket: Socket) {
    ///     socket.expires_in(Duration::from_secs(15 * 60));
    /// }
    /// ```
    pub fn expires_in(&self, left: Duration) {
        match now().checked_add(left) {
            Some(at) => {
                self.add_values(vec![SocketValue::new(Expiry(at))]);
                self.expiry_changed();
            }
            // A time that the clock cannot reach.
            None => self.clear_expiry(),
        }
    }

    /// Removes the time that [`expires_at`](Self::expires_at) or [`expires_in`](Self::expires_in) has set.
    ///
    /// ```
    /// # use axum_socketio::Socket;
    /// async fn trust(socket: Socket) {
    ///     socket.clear_expiry();
    /// }
    /// ```
    pub fn clear_expiry(&self) {
        self.remove::<Expiry>();
        self.expiry_changed();
    }

    fn expiry_changed(&self) {
        self.note_expiry();
        if self.connected() {
            self.0.namespace.members.publish(&self.0.member);
        }
    }

    /// Returns the time at which the socket ends, if one is set.
    pub(crate) fn expiry(&self) -> Option<Instant> {
        self.request().added_value().map(|Expiry(at)| at)
    }

    /// Makes the connection's task look at the times of its sockets.
    pub(crate) fn note_expiry(&self) {
        self.0.client.note_expiry();
    }

    /// Ends the socket because its time is over. Returns true if it was still connected.
    pub(crate) fn expire(&self) -> bool {
        self.connected() && self.end(DisconnectReason::Expired)
    }
}
