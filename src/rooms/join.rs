//! The result of joining rooms.

use std::fmt;
use std::future::{Future, IntoFuture, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined(Result<(), JoinError>);

impl Joined {
    pub(crate) const fn new(result: Result<(), JoinError>) -> Self {
        Self(result)
    }

    /// Returns true if the socket is in all of the rooms.
    #[must_use]
    pub const fn ok(&self) -> bool {
        self.0.is_ok()
    }

    /// Converts this value into a `Result`.
    ///
    /// # Errors
    ///
    /// Returns the first error if a room was not joined. The other rooms are joined all the same.
    pub fn into_result(self) -> Result<(), JoinError> {
        self.0
    }
}

impl IntoFuture for Joined {
    type Output = Result<(), JoinError>;
    type IntoFuture = JoinFuture;

    fn into_future(self) -> JoinFuture {
        JoinFuture(ready(self.0))
    }
}

/// The future of [`Joined`]. It is ready at once, as the rooms of a server need nobody else.
#[must_use = "futures do nothing unless awaited"]
pub struct JoinFuture(Ready<Result<(), JoinError>>);

impl Future for JoinFuture {
    type Output = Result<(), JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl fmt::Debug for JoinFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture").finish_non_exhaustive()
    }
}
