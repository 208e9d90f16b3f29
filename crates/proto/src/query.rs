//! The query of a URL.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes a key or a value of a query, escaped as in forms. An invalid escape stays as it is; invalid UTF-8 is
/// replaced.
#[must_use]
pub fn decode_query(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}
