//! The result of joining rooms.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum_core::response::{IntoResponse, Response};
use futures_util::future::{FutureExt, Shared};
use http::StatusCode;

use super::Confirmed;

/// The reason why a room was not joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The socket is in the maximum number of rooms; see the option `max_rooms`. Contains that number.
    #[error("the socket is in {0} rooms already")]
    TooManyRooms(usize),
    /// The room's name is longer than the option `max_room_len` allows. Contains that length, in bytes.
    #[error("the name of the room is longer than {0} bytes")]
    NameTooLong(usize),
    /// The socket has disconnected.
    #[error("socket is closed")]
    Closed,
}

/// The limits of the rooms that a socket joins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomLimits {
    /// The maximum number of rooms.
    pub(crate) rooms: usize,
    /// The maximum length of a name, in bytes.
    pub(crate) name_len: usize,
}

impl RoomLimits {
    pub(crate) const NONE: Self = Self {
        rooms: usize::MAX,
        name_len: usize::MAX,
    };
}

/// Lets a handler return the error with `?`.
impl IntoResponse for JoinError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::TooManyRooms(_) => StatusCode::CONFLICT,
            Self::NameTooLong(_) => StatusCode::BAD_REQUEST,
            Self::Closed => StatusCode::GONE,
        };
        (status, self.to_string()).into_response()
    }
}

/// The result of [`Socket::join`](crate::Socket::join), which has taken effect already. It may be ignored: rooms that
/// are not joined because of a limit are logged in any case.
///
/// A handler may return it: an error of the join is then the error that the client's callback gets. It may also be
/// awaited.
///
/// In a cluster over an engine whose rooms have channels, such as Redis, the socket gets what other servers emit to the
/// rooms when the engine has confirmed this server's subscription. Both the acknowledgement and the future wait for
/// that, up to a second; they do not wait if the server has no connection to the engine.
///
/// ```
/// # use axum_socketio::rooms::JoinError;
/// # use axum_socketio::{Data, Namespace, Socket};
/// # async fn f(socket: Socket) -> Result<(), JoinError> {
/// socket.join("news");                        // not interested
/// let joined = socket.join("news").ok();      // did it work?
/// socket.join("news").await?;                 // why not?
/// # Ok(()) }
/// # fn g() -> Namespace {
/// Namespace::new().on("join", async |socket: Socket, Data(room): Data<String>| socket.join(room))
/// # }
/// ```
#[derive(Clone)]
pub struct Joined {
    result: Result<(), JoinError>,
    /// The end of the wait for a cluster.
    confirmed: Option<Shared<Confirmed>>,
}

impl Joined {
    pub(crate) fn new(result: Result<(), JoinError>, expected: Vec<Confirmed>) -> Self {
        let confirmed = (!expected.is_empty()).then(|| {
            let all: Confirmed = Box::pin(async {
                for confirmed in expected {
                    confirmed.await;
                }
            });
            all.shared()
        });
        Self { result, confirmed }
    }

    /// Returns true if the socket is in all of the rooms.
    #[must_use]
    pub const fn ok(&self) -> bool {
        self.result.is_ok()
    }

    /// Converts this value into a `Result`.
    ///
    /// # Errors
    ///
    /// Returns the first error if a room was not joined. The other rooms are joined all the same.
    pub fn into_result(self) -> Result<(), JoinError> {
        self.result
    }
}

impl PartialEq for Joined {
    fn eq(&self, other: &Self) -> bool {
        self.result == other.result
    }
}

impl Eq for Joined {}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Joined").field(&self.result).finish()
    }
}

impl IntoFuture for Joined {
    type Output = Result<(), JoinError>;
    type IntoFuture = JoinFuture;

    fn into_future(self) -> JoinFuture {
        JoinFuture(self)
    }
}

/// The future of [`Joined`]. It is ready at once, except in a cluster whose engine has to confirm the subscription to a
/// room.
#[must_use = "futures do nothing unless awaited"]
pub struct JoinFuture(Joined);

impl Future for JoinFuture {
    type Output = Result<(), JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Joined { result, confirmed } = &mut self.0;
        if let Some(expected) = confirmed {
            ready!(Pin::new(expected).poll(cx));
            *confirmed = None;
        }
        Poll::Ready(result.clone())
    }
}

impl fmt::Debug for JoinFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture").finish_non_exhaustive()
    }
}
