//! The options of a server.

/// The options for the compression of WebSocket messages, used if a client offers it; see
/// `SocketIoBuilder::compression`. Node's `perMessageDeflate`.
///
/// ```
/// use axum_socketio::config::Compression;
/// use axum_socketio::SocketIo;
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
    /// Returns the minimum size of a message that is compressed, in bytes.
    #[doc(hidden)]
    #[must_use]
    pub const fn least(&self) -> usize {
        self.threshold
    }

    /// Creates the default options: no context takeover, and a threshold of 1,024 bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the minimum size of a message that is compressed, in bytes. Default: 1,024.
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets the level of compression, from 1 (fast) to 9 (small). Default: 3.
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

    /// Lets messages of the server refer to its earlier ones, which they do not by default. Similar messages become
    /// much smaller, but each connection takes some 300 KiB, and a broadcast is compressed for each of its members.
    pub const fn server_context_takeover(mut self) -> Self {
        self.server_takeover = true;
        self
    }

    /// Lets messages of clients refer to their earlier ones, which they do not by default. A connection takes up to
    /// 50 KiB once it has sent a compressed message.
    pub const fn client_context_takeover(mut self) -> Self {
        self.client_takeover = true;
        self
    }

    /// Sets the maximum window of the messages that the server sends: the number of bytes that they may refer back to,
    /// as an exponent of two from 9 to 15. Default: 15, which is 32 KiB. A client may ask for less.
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_window_bits = within(bits);
        self
    }

    /// Sets the maximum window of the messages that clients send, if they allow the server to limit it. Default: 15.
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_window_bits = within(bits);
        self
    }

    /// Sets the maximum ratio of a client's message to its compressed form, for messages that become longer than 4 KiB.
    /// Default: 200. A message that becomes longer closes the connection with 1009; a log record reports it, and
    /// `Metrics::input_refused` counts it. Node has no limit.
    ///
    /// The JSON of applications reaches 10 to 50, the format itself about 1,030, with lists and bitmaps of zeros. To
    /// receive such attachments, set it to `u32::MAX`; `max_payload` is the
    /// limit then.
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
