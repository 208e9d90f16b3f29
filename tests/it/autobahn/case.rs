//! A test case: the input of the client, and the expected output of the server.

/// A case, built in the order of its steps.
pub(super) struct Case {
    pub(super) id: String,
    pub(super) steps: Vec<Step>,
    /// The messages and pongs that must arrive, in order, and nothing else.
    pub(super) expected: Vec<Got>,
    pub(super) end: End,
    /// The number of bytes that the server reads at once.
    pub(super) chop: usize,
}

pub(super) enum Step {
    /// Sends bytes in one write.
    Write(Vec<u8>),
    /// Waits until this number of messages and pongs has arrived, counted from the beginning.
    Await(usize),
    /// Checks that for a short time nothing arrives and the connection stays open.
    Quiet,
    /// Waits for the server's close frame.
    AwaitClose,
}

/// The end of the connection. The server always ends TCP first.
pub(super) enum End {
    /// The client closes with 1000 after the expected output, and gets the code back.
    Normal,
    /// The client has closed in one of its steps, or broken a rule; the server's close frame has this code.
    Closed(Option<u16>),
}

/// A frame of the server.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Got {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// A frame of the client.
#[derive(Clone)]
pub(super) struct Frame {
    fin: bool,
    rsv: u8,
    opcode: u8,
    payload: Vec<u8>,
}

pub(super) fn case(id: impl Into<String>) -> Case {
    Case {
        id: id.into(),
        steps: Vec::new(),
        expected: Vec::new(),
        end: End::Normal,
        chop: 64 * 1024,
    }
}

impl Case {
    /// Sends these frames in one write.
    pub(super) fn send(self, frames: &[Frame]) -> Self {
        self.write(frames.iter().flat_map(Frame::encode).collect())
    }

    /// Sends each of these frames in a separate write.
    pub(super) fn send_each(self, frames: &[Frame]) -> Self {
        frames
            .iter()
            .fold(self, |case, frame| case.write(frame.encode()))
    }

    pub(super) fn write(self, bytes: Vec<u8>) -> Self {
        self.step(Step::Write(bytes))
    }

    pub(super) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Sets the number of bytes that the server reads at once.
    pub(super) fn chop(mut self, bytes: usize) -> Self {
        self.chop = bytes;
        self
    }

    pub(super) fn expect(mut self, got: Got) -> Self {
        self.expected.push(got);
        self
    }

    /// Expects that the server fails the connection, or answers a close frame of the steps, with this code.
    pub(super) fn closed(mut self, code: impl Into<Option<u16>>) -> Self {
        self.end = End::Closed(code.into());
        self
    }
}

impl Frame {
    pub(super) fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode,
            payload: payload.into(),
        }
    }

    /// Marks the frame as not the last of its message.
    pub(super) fn more(mut self) -> Self {
        self.fin = false;
        self
    }

    /// Sets the reserved bits, as a number from 0 to 7.
    pub(super) fn rsv(mut self, bits: u8) -> Self {
        self.rsv = bits;
        self
    }

    /// Encodes the frame as it is sent, masked. The code follows the RFC, and does not use our encoder.
    pub(super) fn encode(&self) -> Vec<u8> {
        let len = self.payload.len();
        let mut bytes = Vec::with_capacity(len + 14);
        bytes.push(u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode);
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(short @ ..126), _) => bytes.push(0x80 | short),
            (_, Ok(medium)) => {
                bytes.push(0x80 | 126);
                bytes.extend(medium.to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        let mask = [0xa5, 0x0f, 0x36, 0xc1];
        bytes.extend(mask);
        bytes.extend(
            self.payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        bytes
    }
}

pub(super) fn continuation(payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(0, payload)
}

pub(super) fn text(payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(1, payload)
}

pub(super) fn binary(payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(2, payload)
}

pub(super) fn ping(payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(9, payload)
}

pub(super) fn pong(payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(10, payload)
}

/// Creates a close frame with a code and a reason.
pub(super) fn close(code: u16, reason: &[u8]) -> Frame {
    Frame::new(8, [&code.to_be_bytes(), reason].concat())
}

/// Splits a message into fragments of `size` bytes; the last may be shorter.
pub(super) fn fragmented(opcode: u8, payload: &[u8], size: usize) -> Vec<Frame> {
    let mut frames: Vec<Frame> = payload
        .chunks(size)
        .map(|part| continuation(part).more())
        .collect();
    if let Some(first) = frames.first_mut() {
        first.opcode = opcode;
    }
    if let Some(last) = frames.last_mut() {
        last.fin = true;
    }
    frames
}

/// The format is short, so that a failure with megabytes of data is readable.
impl std::fmt::Debug for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, payload) = match self {
            Self::Text(payload) => ("text", payload),
            Self::Binary(payload) => ("binary", payload),
            Self::Pong(payload) => ("pong", payload),
            Self::Close(code) => return write!(f, "close {code:?}"),
        };
        let start: Vec<u8> = payload.iter().copied().take(24).collect();
        write!(
            f,
            "{name} of {} bytes {:?}",
            payload.len(),
            start.escape_ascii().to_string()
        )
    }
}
