//! The task that delivers notifications, and reads what is stored beside them.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{StreamExt, poll_fn};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Notification};

use proto::cluster::Channel;

use crate::error::SessionError;
use crate::inbound::Inbound;
use crate::log_pause::LogPause;
use crate::session::{Connect, Sessions, limited};
use crate::settings::{PostgresSettings, RESPONSE_TIMEOUT};

/// The maximum number of stored messages that are read together.
const AHEAD: usize = 8;

/// The size up to which a notification may refer to a stored message, in bytes.
const MAX_HEADER: usize = 1000;

/// A notification that refers to a stored message.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(rename = "attachmentId")]
    id: Id<'a>,
}

/// The id of a stored message. Node.js sends text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id<'a> {
    Number(i64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl<'a> Header<'a> {
    /// Reads a header. Returns `None` if the notification is a message of its own.
    fn of(text: &'a str) -> Option<Self> {
        let may_be = text.len() <= MAX_HEADER && text.contains("\"attachmentId\"");
        may_be.then(|| serde_json::from_str(text).ok()).flatten()
    }
}

/// A message, or the reason for which it is lost.
type Resolved = Option<(Arc<str>, Result<Bytes, Lost>)>;

/// The reason for which a stored message is not delivered.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("malformed id")]
    Id,
    #[error("it has been deleted")]
    Deleted,
    #[error("it is larger than {0} bytes")]
    TooLarge(i32),
    #[error("{}", .0.text())]
    Connect(#[from] Arc<SessionError>),
    #[error("{}", .0.text())]
    Session(#[from] SessionError),
}

/// Delivers notifications in their order, until the sender is dropped. Stored messages are read over a session that is
/// opened for the first of them.
pub(crate) async fn run(
    shared: Arc<Inbound>,
    connect: Arc<dyn Connect>,
    settings: PostgresSettings,
    mut notifications: mpsc::Receiver<Notification>,
) {
    let reader = Reader {
        sessions: Sessions::new(connect),
        sql: format!(
            "SELECT CASE WHEN octet_length(payload) <= $2 THEN payload END FROM {} WHERE id = $1",
            settings.names.table
        ),
        max: settings.max_received_bytes,
    };
    let receiver = Arc::clone(&shared.receiver);
    let mut lost = LogPause::default();
    let resolved = poll_fn(move |cx| notifications.poll_recv(cx))
        .map(|notification| resolve(&shared, &reader, notification))
        .buffered(AHEAD);
    let mut resolved = std::pin::pin!(resolved);
    while let Some(resolved) = resolved.next().await {
        match resolved {
            Some((nsp, Ok(message))) => {
                receiver.receive(Channel::Namespace { nsp: &nsp }, message);
            }
            Some((nsp, Err(reason))) => {
                receiver.missed(1);
                if let Some(messages) = lost.add(1, Instant::now()) {
                    let (nsp, reason) = (&*nsp, reason.to_string());
                    tracing::warn!(
                        nsp,
                        messages,
                        reason,
                        "large messages of other servers lost"
                    );
                }
            }
            None => {}
        }
    }
}

/// Returns the message of a notification, or `None` if it is not for this server.
async fn resolve(shared: &Inbound, reader: &Reader, notification: Notification) -> Resolved {
    let nsp = shared.wanted(notification.channel())?;
    let text = notification.payload();
    if shared.is_own_message(&nsp, text) {
        return None;
    }
    let Some(header) = Header::of(text) else {
        return Some((nsp, Ok(Bytes::copy_from_slice(text.as_bytes()))));
    };
    if shared.is_own(&header.uid) {
        return None;
    }
    let id = match header.id {
        Id::Number(id) => Some(id),
        Id::Text(text) => text.parse().ok(),
    };
    let message = match id {
        Some(id) => reader.read(id).await,
        None => Err(Lost::Id),
    };
    Some((nsp, message))
}

/// The reader of stored messages.
struct Reader {
    sessions: Sessions,
    sql: String,
    max: i32,
}

impl Reader {
    async fn read(&self, id: i64) -> Result<Bytes, Lost> {
        let session = self.sessions.get().await?;
        match self.read_from(&session.client, id).await {
            // A session that has ended meanwhile is replaced once.
            Err(Lost::Session(_)) if session.client.is_closed() => {
                let session = self.sessions.get().await?;
                self.read_from(&session.client, id).await
            }
            // One that does not answer may be dead without a sign of it.
            Err(Lost::Session(SessionError::Timeout(limit))) => {
                self.sessions.end(&session).await;
                Err(SessionError::Timeout(limit).into())
            }
            read => read,
        }
    }

    async fn read_from(&self, client: &Client, id: i64) -> Result<Bytes, Lost> {
        let params: [(&(dyn ToSql + Sync), Type); 2] = [(&id, Type::INT8), (&self.max, Type::INT4)];
        let query = client.query_typed_opt(&self.sql, &params);
        let row = limited(RESPONSE_TIMEOUT, query).await?;
        let payload: Option<Vec<u8>> = row
            .ok_or(Lost::Deleted)?
            .try_get(0)
            .map_err(SessionError::from)?;
        payload.map(Bytes::from).ok_or(Lost::TooLarge(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_told_from_a_message() {
        let id = |text: &str| {
            Header::of(text).map(|header| match header.id {
                Id::Number(id) => id.to_string(),
                Id::Text(text) => text.into_owned(),
            })
        };
        let header = r#"{"uid":"a","type":3,"attachmentId":"17"}"#;
        assert_eq!(id(header).as_deref(), Some("17"));
        assert_eq!(
            id(r#"{"attachmentId":17,"uid":"a"}"#).as_deref(),
            Some("17")
        );
        let message =
            r#"{"uid":"a","type":3,"data":{"packet":["attachmentId",{"attachmentId":1}]}}"#;
        assert_eq!(id(message), None);
        assert_eq!(id("\"attachmentId\""), None);
        assert_eq!(id(&format!("{header}{}", " ".repeat(MAX_HEADER))), None);
    }
}
