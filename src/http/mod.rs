//! The requests that open connections: the handshake, hooks, origins of pages, content of responses, client files.

mod client_files;
mod content;
mod hooks;
mod opening_request;
mod origins;
mod packed;

pub(crate) use client_files::ClientFile;
pub use client_files::ClientFiles;
pub(crate) use content::{Content, INTERNAL_ERROR, error_message, reason};
pub use hooks::ConnectionError;
pub(crate) use hooks::{AllowRequest, Hooks, RequestFor};
pub(crate) use opening_request::OpeningRequest;
pub use origins::OwnScheme;
pub(crate) use origins::{Origins, normalized};
