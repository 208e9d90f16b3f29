//! A scanner of the structure of a JSON text, without recursion and without parsing its values.

use std::ops::Range;

use memchr::memchr2;

use crate::DecodeError;
use crate::always::always;
use crate::cursor::Cursor;

/// Returns an error if a placeholder refers to no attachment.
pub(crate) fn check_placeholders(json: &str, attachments: usize) -> Result<(), DecodeError> {
    let is_wrong = |index: Option<usize>| index.is_none_or(|index| index >= attachments);
    if Placeholders::new(json).any(|(_, index)| is_wrong(index)) {
        return Err(DecodeError::Placeholder);
    }
    Ok(())
}

/// The placeholders of a JSON text: the place of each, and its number if that is valid.
pub(super) struct Placeholders<'de> {
    json: Scanner<'de>,
    len: usize,
}

impl<'de> Placeholders<'de> {
    pub(super) const fn new(json: &'de str) -> Self {
        Self {
            json: Scanner::new(json),
            len: json.len(),
        }
    }

    /// Returns the length of the text that has been taken.
    fn taken(&self) -> usize {
        self.len - self.json.rest().len()
    }
}

impl Iterator for Placeholders<'_> {
    type Item = (Range<usize>, Option<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(byte) = self.json.peek() {
            if byte == b'"' {
                self.json.string();
                continue;
            }
            let start = self.taken();
            if byte == b'{'
                && let Some(number) = self.json.take_placeholder()
            {
                return Some((start..self.taken(), number));
            }
            self.json.skip();
        }
        None
    }
}

/// Returns true if a string needs no escapes in JSON and can be copied unchanged.
pub(super) fn is_plain(text: &str) -> bool {
    plain(text) == Some(text.len())
}

/// Returns the length of the text before its first quote or backslash, or `None` if that contains a control character.
fn plain(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let len = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    // The fold has no early exit, so that it compiles to a few wide instructions.
    let least = bytes.get(..len)?.iter().copied().fold(u8::MAX, u8::min);
    (least >= b' ').then_some(len)
}

/// A cursor over a JSON text, which may be malformed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'de>(Cursor<'de>);

impl<'de> Scanner<'de> {
    pub(crate) const fn new(json: &'de str) -> Self {
        Self(Cursor::new(json))
    }

    /// Returns the text that has not been taken.
    pub(super) const fn rest(self) -> &'de str {
        self.0.rest()
    }

    /// Returns the next byte that is not white space.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let first = self.0.peek()?;
        if first > b' ' {
            return Some(first);
        }
        self.0
            .take_until(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.0.peek()
    }

    /// Returns true if a character, which is not white space, is next.
    #[inline]
    pub(super) fn is_at(&mut self, char: char) -> bool {
        self.peek().map(char::from) == Some(char)
    }

    /// Takes a character that is not white space. Returns `None` if another one is next.
    #[inline]
    pub(crate) fn eat(&mut self, char: char) -> Option<()> {
        self.peek();
        self.0.eat(char).then_some(())
    }

    /// Takes any character.
    fn skip(&mut self) -> Option<char> {
        self.0.take_char()
    }

    /// Takes a string without escapes if it is next. Returns the text between its quotes.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<&'de str> {
        let mut json = *self;
        json.eat('"')?;
        let text = json.0.take(plain(json.0.rest())?)?;
        json.0.eat('"').then(|| *self = json)?;
        Some(text)
    }

    /// Takes all but a bracket at the end, with which a list ends.
    pub(super) fn before_last_bracket(&mut self) -> &'de str {
        let rest = self.0.rest();
        let text = rest.strip_suffix(']').unwrap_or(rest);
        always(self.0.take(text.len()), "a text has its own length")
    }

    /// Takes a string, including its quotes.
    fn string(&mut self) -> &'de str {
        let mut inside = self.0;
        inside.eat('"');
        loop {
            inside.take_until(|byte| matches!(byte, b'"' | b'\\'));
            match inside.take_char() {
                Some('\\') => _ = inside.take_char(),
                _ => break,
            }
        }
        self.take_before(inside)
    }

    /// Takes a string, a number or a literal.
    pub(crate) fn leaf(&mut self) -> &'de str {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        self.0.take_until(|byte| {
            matches!(
                byte,
                b',' | b':' | b'[' | b']' | b'{' | b'}' | b'"' | b' ' | b'\t' | b'\n' | b'\r'
            )
        })
    }

    /// Takes any value.
    pub(super) fn value(&mut self) -> &'de str {
        self.peek();
        let mut inside = *self;
        let mut depth = 0_usize;
        while let Some(byte) = inside.peek() {
            match byte {
                b'"' => _ = inside.string(),
                b'[' | b'{' => {
                    depth += 1;
                    inside.skip();
                }
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    inside.skip();
                }
                b',' | b':' => _ = inside.skip(),
                _ => _ = inside.leaf(),
            }
            if depth == 0 {
                break;
            }
        }
        self.take_before(inside.0)
    }

    /// Takes the text that a copy of this cursor has taken.
    fn take_before(&mut self, copy: Cursor<'de>) -> &'de str {
        let taken = self.0.take(self.0.rest().len() - copy.rest().len());
        always(taken, "the copy has taken whole characters")
    }

    /// Returns `Some` if the object that starts here is a placeholder, with its number, or `None` inside if it has no
    /// valid number. Only its first two members are read: no client writes others, and reading more at every brace
    /// would take time quadratic in the depth.
    pub(crate) fn placeholder(&self) -> Option<Option<usize>> {
        const MARK: (&str, &str) = ("\"_placeholder\"", "true");

        if let Some((number, _)) = self.usual_placeholder() {
            return Some(Some(number));
        }
        let mut json = *self;
        json.eat('{')?;
        let first = json.member()?;
        let second = json.eat(',').and_then(|()| json.member());
        let number = match (first, second) {
            (MARK, number) => number,
            (number, Some(MARK)) => Some(number),
            _ => return None,
        };
        Some(number.and_then(|(_, number)| number.parse().ok()))
    }

    /// Reads a placeholder in the form that every client writes. Returns its number and the text after it.
    fn usual_placeholder(&self) -> Option<(usize, Self)> {
        let rest = self
            .0
            .rest()
            .strip_prefix(r#"{"_placeholder":true,"num":"#)?;
        let mut rest = Cursor::new(rest);
        let number = rest.digits().parse().ok()?;
        rest.eat('}').then_some((number, Self(rest)))
    }

    /// Takes a placeholder if one is next. Returns the result of [`placeholder`](Self::placeholder).
    pub(crate) fn take_placeholder(&mut self) -> Option<Option<usize>> {
        if let Some((number, rest)) = self.usual_placeholder() {
            *self = rest;
            return Some(Some(number));
        }
        let number = self.placeholder()?;
        self.value();
        Some(number)
    }

    /// Takes a member that a placeholder may have, unless its value is an array or an object.
    fn member(&mut self) -> Option<(&'de str, &'de str)> {
        self.peek().filter(|&byte| byte == b'"')?;
        let key = self.string();
        if !matches!(key, "\"_placeholder\"" | "\"num\"") {
            return None;
        }
        self.eat(':')?;
        self.peek().filter(|byte| !matches!(byte, b'[' | b'{'))?;
        Some((key, self.leaf()))
    }
}
