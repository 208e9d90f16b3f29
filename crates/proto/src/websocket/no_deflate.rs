//! A substitute for `deflate` without the feature `compression`: its types have no values, so nothing is ever
//! negotiated.

use super::ProtocolError;

/// The options, which have no value without the feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {}

/// The agreed parameters, which have no value without the feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {}

impl Compression {
    /// Is never called.
    #[must_use]
    pub const fn least(&self) -> usize {
        match *self {}
    }
}

/// The inflater, which is never created.
#[derive(Debug)]
pub struct Inflater;

/// The deflater, which is never created.
#[derive(Debug)]
pub struct Deflater;

/// Is never called.
#[must_use]
pub fn negotiate<'h>(
    _: impl IntoIterator<Item = &'h str>,
    wanted: &Compression,
) -> Option<(Agreed, String)> {
    match *wanted {}
}

impl Inflater {
    /// Is never called.
    #[must_use]
    pub const fn new(agreed: &Agreed) -> Self {
        match *agreed {}
    }

    /// Returns an error, as there is nothing to inflate.
    ///
    /// # Errors
    ///
    /// Always [`ProtocolError::Deflate`].
    pub const fn inflate(&mut self, _: &[u8], _: usize) -> Result<Vec<u8>, ProtocolError> {
        Err(ProtocolError::Deflate)
    }
}

impl Deflater {
    /// Is never called.
    #[must_use]
    pub const fn new(agreed: &Agreed) -> Self {
        match *agreed {}
    }

    /// Returns `None`: no compressed form is shared.
    #[must_use]
    pub const fn shared_window(&self) -> Option<u8> {
        None
    }

    /// Returns the maximum: no message is long enough.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        usize::MAX
    }

    /// Returns `None`: no message is compressed.
    pub const fn deflate(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}
