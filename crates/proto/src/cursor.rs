//! A cursor over a text that is being decoded.
//!
//! Decoders take the parts of a text from its front, and so never index it. Decoders of bytes need no such type, since
//! a `&mut &[u8]` has `split_off`.

use crate::always::always;

/// The part of a text that has not been taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'t>(&'t str);

impl<'t> Cursor<'t> {
    pub(crate) const fn new(text: &'t str) -> Self {
        Self(text)
    }

    /// Returns the text that has not been taken.
    pub(crate) const fn rest(self) -> &'t str {
        self.0
    }

    /// Returns the next byte without taking it.
    #[inline]
    pub(crate) fn peek(self) -> Option<u8> {
        self.0.bytes().next()
    }

    /// Takes the next character.
    #[inline]
    pub(crate) fn take_char(&mut self) -> Option<char> {
        let mut chars = self.0.chars();
        let char = chars.next()?;
        self.0 = chars.as_str();
        Some(char)
    }

    /// Takes a character if it is next. Returns true if it was.
    #[inline]
    pub(crate) fn eat(&mut self, char: char) -> bool {
        let rest = self.0.strip_prefix(char);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes a number of bytes. Returns `None`, and takes nothing, if there are fewer or if the last character is cut.
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'t str> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes the text before the first byte for which `ends` is true, which is an ASCII character, or all of it.
    #[inline]
    pub(crate) fn take_until(&mut self, ends: impl Fn(u8) -> bool) -> &'t str {
        let end = self.0.bytes().position(ends);
        let taken = self.take(end.unwrap_or(self.0.len()));
        always(taken, "the end is an ASCII character")
    }

    /// Takes the decimal digits that are next.
    #[inline]
    pub(crate) fn digits(&mut self) -> &'t str {
        self.take_until(|byte| !byte.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_from_the_front() {
        let mut text = Cursor::new("12-\u{e9}\u{20ac},x");
        assert_eq!(text.digits(), "12");
        assert_eq!((text.eat(','), text.eat('-')), (false, true));
        assert_eq!(text.take(1), None, "a character is not cut");
        assert_eq!(text.take(2), Some("\u{e9}"));
        assert_eq!(text.take_until(|byte| byte == b','), "\u{20ac}");
        assert_eq!((text.peek(), text.take_char()), (Some(b','), Some(',')));
        assert_eq!(text.take(2), None, "there is one byte");
        assert_eq!(text.take_until(|byte| byte == b','), "x");
        assert_eq!(
            (text.peek(), text.take_char(), text.rest()),
            (None, None, "")
        );
        assert_eq!((text.digits(), text.take(0)), ("", Some("")));
    }
}
