//! Input of a client that is over a limit: counted, and logged with the option that sets the limit.

use super::{Client, Server};
use crate::metrics::Counted;
use crate::protocol::DecodeError;
use crate::protocol::websocket::ProtocolError;

/// One piece of input over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverLimit {
    /// The builder's option.
    pub(crate) option: &'static str,
    pub(crate) limit: usize,
    /// How large the input is, if the client has said so.
    pub(crate) size: Option<u64>,
}

impl OverLimit {
    const fn new(option: &'static str, limit: usize) -> Self {
        let size = None;
        Self {
            option,
            limit,
            size,
        }
    }

    /// A message or a body.
    pub(crate) const fn payload(limit: usize, size: Option<u64>) -> Self {
        let option = "max_payload";
        Self {
            option,
            limit,
            size,
        }
    }

    pub(crate) const fn auth(limit: usize, size: usize) -> Self {
        let size = Some(size as u64);
        Self {
            size,
            ..Self::new("max_auth_len", limit)
        }
    }

    pub(crate) const fn namespaces(limit: usize) -> Self {
        Self::new("max_namespaces", limit)
    }

    /// Counts it, and logs it unless the client has caused enough records.
    pub(crate) fn report(&self, server: &Server, client: &Client) {
        let Self {
            option,
            limit,
            size,
        } = *self;
        server.counters.add_for(Counted::InputRefused, option, 1);
        if client.logs.allow() {
            let transport = client.transport().as_str();
            tracing::warn!(sid = %client.sid, transport, limit, size, "input of a client is refused: over {option}");
        }
    }

    pub(crate) fn of_packet(error: &DecodeError) -> Option<Self> {
        Some(match error {
            DecodeError::TooManyAttachments(limit) => Self::new("max_attachments", *limit),
            DecodeError::AttachmentsTooLarge(limit) => Self::new("max_packet_bytes", *limit),
            DecodeError::NamespaceTooLong(limit) => Self::new("max_namespace_len", *limit),
            DecodeError::EventNameTooLong(limit) => Self::new("max_event_len", *limit),
            _ => return None,
        })
    }

    pub(crate) fn of_frame(error: ProtocolError) -> Option<Self> {
        match error {
            ProtocolError::TooBig { limit, size } => Some(Self::payload(limit, size)),
            _ => None,
        }
    }
}
