//! The data of a socket that other servers see.

use std::sync::Arc;

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Socket;
use super::handle::Inner;
use super::values::SocketValue;

/// The data of a socket could not be serialized, or is not of the requested type.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DataError(serde_json::Error);

/// Lets a handler return the error with `?`.
impl IntoResponse for DataError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// The JSON of the data. It is one of the values of the socket, so that a session keeps it.
#[derive(Clone)]
struct Json(Arc<str>);

/// The data of a socket that has none, as in Node.
const EMPTY: &str = "{}";

/// Reads the data of a socket.
pub(crate) fn read_data<T: DeserializeOwned>(json: &str) -> Result<T, DataError> {
    serde_json::from_str(json).map_err(DataError)
}

/// Returns the value that holds the JSON of the data.
pub(super) fn data_value(json: &str) -> SocketValue {
    SocketValue::new(Json(json.into()))
}

impl Socket {
    /// Attaches data to the socket, as JSON, and replaces the previous data. Other servers see it in
    /// [`RemoteSocket::data`](crate::emit::RemoteSocket::data), and [`Recovery`](crate::config::Recovery) restores it.
    /// Node's `socket.data`.
    ///
    /// [`insert`](Self::insert) stores values of this server alone, which need not be serialized.
    ///
    /// ```
    /// # use axum_socketio::emit::DataError;
    /// # use axum_socketio::{Socket, SocketIo};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Deserialize, Serialize)]
    /// struct User { name: String }
    ///
    /// # async fn f(socket: Socket, io: SocketIo) -> Result<(), Box<dyn std::error::Error>> {
    /// socket.set_data(User { name: "Ann".into() })?;
    /// for other in io.to("news").fetch_sockets().await? {
    ///     println!("{}", other.data::<User>()?.name);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the data cannot be serialized; the previous data stays.
    pub fn set_data<T: Serialize>(&self, data: T) -> Result<(), DataError> {
        let json = serde_json::to_string(&data).map_err(DataError)?;
        self.insert(Json(json.into()));
        Ok(())
    }

    /// Returns the data that was attached with [`set_data`](Self::set_data). It is `{}` before, as in Node.
    ///
    /// # Errors
    ///
    /// Fails if the data is of another type.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, DataError> {
        read_data(&self.0.data_json())
    }
}

impl Inner {
    /// Returns the JSON of the data.
    pub(super) fn data_json(&self) -> Arc<str> {
        let json = self.request.get(&self.client.handshake);
        json.map_or_else(|| EMPTY.into(), |Json(json)| json)
    }
}
