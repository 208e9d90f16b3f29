//! What a server wants.

/// How WebSocket messages are compressed, where a client offers that; see
/// [`SocketIoBuilder::compression`](crate::SocketIoBuilder::compression). Node's `perMessageDeflate`.
///
/// ```
/// use axum_socketio::{Compression, SocketIo};
///
/// let io = SocketIo::builder::<()>().compression(Compression::new().threshold(4096));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "give it to the builder"]
pub struct Compression {
    pub(crate) threshold: usize,
    pub(crate) level: u32,
    pub(crate) server_takeover: bool,
    pub(crate) client_takeover: bool,
    pub(crate) server_window_bits: u8,
    pub(crate) client_window_bits: u8,
    pub(crate) max_ratio: u32,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            threshold: 1024,
            level: 3,
            server_takeover: false,
            client_takeover: false,
            server_window_bits: 15,
            client_window_bits: 15,
            max_ratio: 200,
        }
    }
}

impl Compression {
    /// How long a message must be to be compressed, in bytes.
    #[must_use]
    pub(crate) const fn least(&self) -> usize {
        self.threshold
    }

    /// Without context takeover, above 1,024 bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a message must be to be compressed, in bytes. Default: 1,024.
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// How hard to try, from 1 (fast) to 9 (small). Default: 3.
    pub const fn level(mut self, level: u32) -> Self {
        self.level = if level < 1 {
            1
        } else if level > 9 {
            9
        } else {
            level
        };
        self
    }

    /// Whether what the server sends may refer to what it sent before. Default: no. Messages that are alike become much
    /// smaller, but each connection takes some 300 KiB, and a broadcast is compressed for each of its members.
    pub const fn server_context_takeover(mut self, takeover: bool) -> Self {
        self.server_takeover = takeover;
        self
    }

    /// The same of what clients send. Default: no. A connection takes up to 50 KiB once it has sent something compressed.
    pub const fn client_context_takeover(mut self, takeover: bool) -> Self {
        self.client_takeover = takeover;
        self
    }

    /// How far back what the server sends may refer: as the exponent of two, from 9 to 15. Default: 15, which is 32 KiB. A
    /// client may ask for less.
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_window_bits = within(bits);
        self
    }

    /// The same of what clients send, if they let the server say so. Default: 15.
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_window_bits = within(bits);
        self
    }

    /// How many times as long as on the wire a message of a client may become, beyond its first 4 KiB. Default: 200. A message
    /// that becomes longer closes the connection with 1009; the log says so, and
    /// [`Metrics::inflations_refused`](crate::Metrics::inflations_refused) counts it. Node has no limit.
    ///
    /// JSON that applications send reaches 10 to 50, the format itself about 1,030: lists and bitmaps of zeros do. Who receives
    /// such attachments sets it to `u32::MAX`; [`max_payload`](crate::SocketIoBuilder::max_payload) is the limit then.
    pub const fn max_ratio(mut self, ratio: u32) -> Self {
        self.max_ratio = ratio;
        self
    }
}

const fn within(bits: u8) -> u8 {
    if bits < 9 {
        9
    } else if bits > 15 {
        15
    } else {
        bits
    }
}
