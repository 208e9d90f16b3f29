//! The statement that sends a message.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use proto::cluster::EmitterMessage;

use super::error::EmitError;
use crate::settings::Names;
use crate::steps::{Attachment, small};

/// The number of the next message of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The statement for small messages.
const NOTIFY: &str = "SELECT pg_notify($1, convert_from($2, 'UTF8'))";

/// A statement of SQL with two parameters, which sends an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statement {
    /// The text of the statement. There are few different ones, so prepared statements can be reused.
    pub sql: String,
    /// The first parameter, of the type `text`.
    pub channel: String,
    /// The second parameter, of the type `bytea`.
    pub payload: Vec<u8>,
}

impl Statement {
    pub(super) fn new(names: &Names, message: &EmitterMessage<'_>) -> Result<Self, EmitError> {
        let nsp = message.channel.nsp();
        let channel = names.channel(nsp);
        let channel = channel.ok_or_else(|| EmitError::NoChannel(nsp.to_owned()))?;
        let message = distinct(&message.content);
        if small(&message).is_some() {
            return Ok(Self {
                sql: NOTIFY.to_owned(),
                channel,
                payload: message.to_vec(),
            });
        }
        // A message that this crate has encoded is well-formed.
        let Ok(attachment) = Attachment::new(channel.clone(), &message) else {
            return Err(EmitError::NoChannel(channel));
        };
        let (table, header) = (&names.table, attachment.header);
        Ok(Self {
            // `now()` would be the start of the transaction, and the message could be deleted before it is read.
            sql: format!(
                "WITH a AS (INSERT INTO {table} (payload, created_at) VALUES ($2, clock_timestamp()) RETURNING id) \
                 SELECT pg_notify($1, '{header}' || id || '\"}}') FROM a"
            ),
            channel,
            payload: attachment.msgpack.to_vec(),
        })
    }
}

/// Adds a number to a message in JSON, as PostgreSQL delivers equal ones of a transaction once. Servers ignore it.
fn distinct(message: &Bytes) -> Bytes {
    let Some(open) = message
        .strip_suffix(b"}")
        .filter(|_| message.starts_with(b"{"))
    else {
        return message.clone();
    };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let end = format!(r#","n":{number}}}"#);
    [open, end.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use crate::emitter::Emitter;
    use crate::settings::MAX_NOTIFICATION;

    #[test]
    fn equal_events_differ_and_no_notification_is_too_long() {
        let emitter = Emitter::detached()
            .of("chat")
            .to("x")
            .except("y")
            .volatile();
        let first = emitter.statement("news", 1).unwrap().unwrap();
        let second = emitter.statement("news", 1).unwrap().unwrap();
        assert_eq!(
            (&*first.channel, &first.sql),
            ("socket.io#/chat", &second.sql)
        );
        assert_ne!(first.payload, second.payload);
        let text = String::from_utf8(first.payload).unwrap();
        let expected = concat!(
            r#"{"type":3,"data":{"packet":{"type":2,"data":["news",1]},"opts":{"rooms":["x"],"except":["y"],"#,
            r#""flags":{"volatile":true}}},"uid":"emitter","nsp":"/chat","n":"#,
        );
        assert!(text.starts_with(expected), "{text}");
        for len in MAX_NOTIFICATION - 200..MAX_NOTIFICATION + 10 {
            let statement = emitter.statement("news", "x".repeat(len)).unwrap().unwrap();
            let is_notification = statement.sql == super::NOTIFY;
            let fits = statement.payload.len() < MAX_NOTIFICATION;
            assert!(!is_notification || fits, "{len}");
        }
        let binary = emitter
            .statement("news", bytes::Bytes::from_static(b"b"))
            .unwrap()
            .unwrap();
        let header = r#"'{"uid":"emitter","type":3,"attachmentId":"'"#;
        assert!(binary.sql.contains(header), "{}", binary.sql);
    }

    #[test]
    fn events_that_cannot_be_sent_are_errors() {
        let emitter = Emitter::detached();
        assert!(emitter.statement("connect", ()).is_err());
        assert_eq!(emitter.to([""; 0]).statement("news", ()).unwrap(), None);
        assert!(emitter.of("x".repeat(60)).statement("news", ()).is_err());
    }
}
