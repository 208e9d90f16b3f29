//! The handshake of a socket, as other servers see it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A handshake that can be written as JSON.
pub(crate) trait HandshakeJson: Send + Sync {
    /// Returns the JSON object of the handshake, as in Node.js.
    fn json(&self) -> Cow<'_, str>;
}

/// The handshake of a socket: that of a socket here is written only if somebody asks for it.
#[derive(Clone)]
pub(crate) struct SharedHandshake(pub(crate) Arc<dyn HandshakeJson>);

impl SharedHandshake {
    pub(crate) fn json(&self) -> Cow<'_, str> {
        self.0.json()
    }
}

impl From<&str> for SharedHandshake {
    fn from(json: &str) -> Self {
        Self(Arc::new(json.to_owned()))
    }
}

impl HandshakeJson for String {
    fn json(&self) -> Cow<'_, str> {
        self.into()
    }
}

impl fmt::Debug for SharedHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedHandshake").finish_non_exhaustive()
    }
}
