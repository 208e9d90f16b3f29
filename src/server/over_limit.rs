//! Input of a client that exceeds a limit. It is counted, and logged with the option that sets the limit.

use super::Server;
use crate::metrics::{Counted, InputLimit};
use crate::socket::Client;
use proto::DecodeError;

/// A piece of input that exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverLimit {
    /// The builder's option.
    pub(crate) option: InputLimit,
    pub(crate) limit: usize,
    /// The size of the input, if the client has declared it.
    pub(crate) size: Option<u64>,
}

impl OverLimit {
    const fn new(option: InputLimit, limit: usize) -> Self {
        let size = None;
        Self {
            option,
            limit,
            size,
        }
    }

    /// Creates the value for a message or a body.
    pub(crate) const fn payload(limit: usize, size: Option<u64>) -> Self {
        let option = InputLimit::Payload;
        Self {
            option,
            limit,
            size,
        }
    }

    /// Creates the value for a compressed message that inflates too much.
    pub(crate) const fn ratio(limit: usize) -> Self {
        Self::new(InputLimit::Ratio, limit)
    }

    pub(crate) const fn auth(limit: usize, size: usize) -> Self {
        let size = Some(size as u64);
        Self {
            size,
            ..Self::new(InputLimit::AuthLen, limit)
        }
    }

    pub(crate) const fn namespaces(limit: usize) -> Self {
        Self::new(InputLimit::Namespaces, limit)
    }

    /// Counts the input, and logs it within the limit of the client's log records.
    pub(crate) fn report(&self, server: &Server, client: &Client) {
        let Self {
            option,
            limit,
            size,
        } = *self;
        server.counters.add(Counted::InputRefused(option), 1);
        if client.logs.allow() {
            let (transport, option) = (client.transport().as_str(), option.as_str());
            tracing::warn!(sid = %client.sid, transport, limit, size, "input of a client is refused: over {option}");
        }
    }

    pub(crate) fn of_packet(error: &DecodeError) -> Option<Self> {
        Some(match error {
            DecodeError::TooManyAttachments(limit) => Self::new(InputLimit::Attachments, *limit),
            DecodeError::AttachmentsTooLarge(limit) => Self::new(InputLimit::PacketBytes, *limit),
            DecodeError::NamespaceTooLong(limit) => Self::new(InputLimit::NamespaceLen, *limit),
            DecodeError::EventNameTooLong(limit) => Self::new(InputLimit::EventLen, *limit),
            _ => return None,
        })
    }
}
