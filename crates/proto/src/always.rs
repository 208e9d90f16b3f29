//! Values that are always there.

/// Returns a value that is always there: an absent one is a bug, which stops a debug build. A release build goes on
/// with an empty value, since input must not make a server panic.
#[inline]
#[track_caller]
pub fn always<T: Default>(value: Option<T>, reason: &str) -> T {
    debug_assert!(value.is_some(), "{reason}");
    value.unwrap_or_default()
}
