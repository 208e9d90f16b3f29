//! Joins of rooms as return values of handlers.

use axum_core::response::{IntoResponse, Response};

use super::outcome::{IntoAdmission, IntoDone};
use super::reply::IntoAck;
use crate::rooms::Joined;
use crate::socket::{AckBody, SocketValues};

/// Acknowledges like `()`, or with the error of the join. In a cluster, it waits until other servers reach the rooms.
impl IntoAck for Joined {
    async fn into_ack(self) -> AckBody {
        self.await.into_ack().await
    }

    fn is_error(&self) -> bool {
        !self.ok()
    }
}

impl IntoDone for Joined {
    fn into_done(self) -> Result<(), Response> {
        self.into_result().into_done()
    }
}

impl IntoAdmission for Joined {
    fn into_admission(self) -> Result<SocketValues, Response> {
        self.into_result()
            .map(|()| SocketValues::new())
            .map_err(IntoResponse::into_response)
    }
}
