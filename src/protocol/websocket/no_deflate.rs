//! In place of `deflate` where the feature `compression` is off: nothing is ever agreed on, and the compiler knows.

use super::ProtocolError;

/// There is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {}

/// There is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {}

impl Compression {
    /// Never called.
    #[must_use]
    pub const fn least(&self) -> usize {
        match *self {}
    }
}

/// Never made.
#[derive(Debug)]
pub struct Inflater;

/// Never made.
#[derive(Debug)]
pub struct Deflater;

/// Agrees on nothing.
#[must_use]
pub fn negotiate<'h>(
    _: impl IntoIterator<Item = &'h str>,
    wanted: &Compression,
) -> Option<(Agreed, String)> {
    match *wanted {}
}

impl Inflater {
    /// Never called.
    #[must_use]
    pub const fn new(agreed: &Agreed) -> Self {
        match *agreed {}
    }

    /// Reads nothing.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Deflate`].
    pub const fn inflate(&mut self, _: &[u8], _: usize) -> Result<Vec<u8>, ProtocolError> {
        Err(ProtocolError::Deflate)
    }
}

impl Deflater {
    /// Never called.
    #[must_use]
    pub const fn new(agreed: &Agreed) -> Self {
        match *agreed {}
    }

    /// Whatever: there is nothing to share.
    #[must_use]
    pub const fn shared_window(&self) -> Option<u8> {
        None
    }

    /// No message is long enough.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        usize::MAX
    }

    /// Leaves every message as it is.
    pub const fn deflate(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}
