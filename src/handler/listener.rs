//! Listeners as return values of handlers, as in `async |socket: Socket| socket.on_any(…)`. They count as `()`.

use axum_core::response::Response;

use super::outcome::{IntoAdmission, IntoDone};
use super::reply::IntoAck;
use crate::socket::{AckBody, Listener, SocketValues};

impl IntoAck for Listener {
    async fn into_ack(self) -> AckBody {
        ().into_ack().await
    }
}

impl IntoDone for Listener {
    fn into_done(self) -> Result<(), Response> {
        Ok(())
    }
}

impl IntoAdmission for Listener {
    fn into_admission(self) -> Result<SocketValues, Response> {
        Ok(SocketValues::new())
    }
}
