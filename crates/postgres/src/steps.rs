//! The statements that send messages.

use std::collections::HashSet;

use bytes::Bytes;

use proto::cluster::{MessageError, Stored};

use crate::settings::MAX_NOTIFICATION;

/// A statement, which is a transaction of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Sends small messages: channels and texts. PostgreSQL delivers equal ones of a transaction once, so all differ.
    Notify(Vec<String>, Vec<String>),
    /// Stores a message, and sends its id.
    Store(Attachment),
}

/// A message that does not fit into a notification.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) channel: String,
    /// The notification up to the id.
    pub(crate) header: String,
    pub(crate) msgpack: Bytes,
}

impl Step {
    /// Returns the number of messages.
    pub(crate) const fn messages(&self) -> usize {
        match self {
            Self::Notify(channels, _) => channels.len(),
            Self::Store(_) => 1,
        }
    }

    /// Splits the step into those of one message each.
    pub(crate) fn split(self) -> Vec<Self> {
        match self {
            Self::Notify(channels, texts) => channels
                .into_iter()
                .zip(texts)
                .map(|(channel, text)| Self::Notify(vec![channel], vec![text]))
                .collect(),
            store @ Self::Store(_) => vec![store],
        }
    }
}

/// Returns the text of a message if it fits into a notification.
pub(crate) fn small(message: &Bytes) -> Option<&str> {
    let fits = message.first() == Some(&b'{') && message.len() < MAX_NOTIFICATION;
    fits.then(|| str::from_utf8(message).ok()).flatten()
}

impl Attachment {
    pub(crate) fn new(channel: String, message: &Bytes) -> Result<Self, MessageError> {
        let Stored { uid, kind, msgpack } = Stored::new(message)?;
        let uid = serde_json::Value::from(uid);
        let header = format!(r#"{{"uid":{uid},"type":{kind},"attachmentId":""#);
        Ok(Self {
            channel,
            header,
            msgpack,
        })
    }
}

/// Returns the statements for messages, in their order, and the errors of those that cannot be sent.
pub(crate) fn plan(batch: Vec<(String, Bytes)>) -> (Vec<Step>, Vec<MessageError>) {
    let mut steps = Vec::new();
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (channel, message) in batch {
        let Some(text) = small(&message) else {
            match Attachment::new(channel, &message) {
                Ok(attachment) => steps.push(Step::Store(attachment)),
                Err(error) => errors.push(error),
            }
            continue;
        };
        let is_new = seen.insert((channel.clone(), message.clone()));
        match steps.last_mut() {
            Some(Step::Notify(channels, texts)) if is_new => {
                channels.push(channel);
                texts.push(text.to_owned());
            }
            _ => {
                seen.clear();
                seen.insert((channel.clone(), message.clone()));
                steps.push(Step::Notify(vec![channel], vec![text.to_owned()]));
            }
        }
    }
    (steps, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> (String, Bytes) {
        ("c".to_owned(), Bytes::copy_from_slice(text.as_bytes()))
    }

    fn notify(texts: &[&str]) -> Step {
        let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
        Step::Notify(vec!["c".to_owned(); texts.len()], texts)
    }

    #[test]
    fn small_messages_share_a_transaction_unless_they_are_equal() {
        let batch = ["{1}", "{2}", "{1}", "{1}", "{3}"].map(message);
        let (steps, errors) = plan(batch.into());
        let expected = [
            notify(&["{1}", "{2}"]),
            notify(&["{1}"]),
            notify(&["{1}", "{3}"]),
        ];
        assert_eq!(steps, expected);
        assert_eq!(errors, []);
        let other = ("d".to_owned(), Bytes::from_static(b"{1}"));
        let (steps, _) = plan(vec![message("{1}"), other]);
        assert_eq!(steps.iter().map(Step::messages).collect::<Vec<_>>(), [2]);
        assert_eq!(
            notify(&["{1}", "{2}"]).split(),
            [notify(&["{1}"]), notify(&["{2}"])]
        );
    }

    #[test]
    fn messages_that_do_not_fit_are_stored_in_their_place() {
        let json = |len: usize| {
            let empty = r#"{"uid":"a\"","type":13,"nsp":""}"#.len();
            let nsp = "x".repeat(len - empty);
            format!(r#"{{"uid":"a\"","type":13,"nsp":"{nsp}"}}"#)
        };
        let (fits, large) = (json(MAX_NOTIFICATION - 1), json(MAX_NOTIFICATION));
        let binary = Stored::new(&message(&large).1).unwrap().msgpack;
        let batch = [
            message(&fits),
            message(&large),
            ("c".to_owned(), binary.clone()),
        ];
        let (steps, errors) = plan(
            batch
                .into_iter()
                .chain([message("{1}"), message("1")])
                .collect(),
        );
        let stored = || {
            Step::Store(Attachment {
                channel: "c".to_owned(),
                header: r#"{"uid":"a\"","type":13,"attachmentId":""#.to_owned(),
                msgpack: binary.clone(),
            })
        };
        assert_eq!(
            steps,
            [notify(&[&fits]), stored(), stored(), notify(&["{1}"])]
        );
        assert_eq!(errors.len(), 1);
    }
}
