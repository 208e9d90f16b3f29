//! The query of a URL.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes a key or a value of a query, escaped as in forms. An invalid escape stays as it is; invalid UTF-8 is
/// replaced.
pub(crate) fn decode_query(text: &str) -> String {
    let text = if text.contains('+') {
        Cow::Owned(text.replace('+', " "))
    } else {
        Cow::Borrowed(text)
    };
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
