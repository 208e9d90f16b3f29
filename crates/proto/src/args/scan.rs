//! A scanner of the structure of a JSON text, without recursion and without parsing its values.

use crate::DecodeError;

/// Returns an error if a placeholder refers to no attachment.
pub(crate) fn check_placeholders(json: &str, attachments: usize) -> Result<(), DecodeError> {
    let mut text = Text(json);
    while let Some(byte) = text.peek() {
        match byte {
            b'"' => _ = text.string(),
            b'{' => match text.take_placeholder() {
                Some(index) if index.is_none_or(|index| index >= attachments) => {
                    return Err(DecodeError::Placeholder);
                }
                Some(_) => {}
                None => _ = text.eat(b'{'),
            },
            _ => text.skip(1),
        }
    }
    Ok(())
}

/// The unread part of a JSON text.
#[derive(Clone, Copy)]
pub(crate) struct Text<'de>(pub(crate) &'de str);

impl<'de> Text<'de> {
    /// Returns the next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let first = self.0.bytes().next()?;
        if first > b' ' {
            return Some(first);
        }
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
        self.0.bytes().next()
    }

    pub(crate) fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.skip(1))
    }

    /// Skips a number of bytes, and more if that would cut a character.
    fn skip(&mut self, bytes: usize) {
        self.take(bytes);
    }

    fn take(&mut self, bytes: usize) -> &'de str {
        let end = (bytes..self.0.len()).find(|&end| self.0.is_char_boundary(end));
        let (taken, rest) = self
            .0
            .split_at_checked(end.unwrap_or(self.0.len()))
            .unwrap_or((self.0, ""));
        self.0 = rest;
        taken
    }

    /// Takes a string, including its quotes.
    fn string(&mut self) -> &'de str {
        let mut escaped = true; // the opening quote ends nothing
        let end = self.0.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        self.take(end.map_or(self.0.len(), |end| end + 1))
    }

    /// Takes a string, a number or a literal.
    pub(crate) fn leaf(&mut self) -> &'de str {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        let ends = |byte| {
            matches!(
                byte,
                b',' | b':' | b'[' | b']' | b'{' | b'}' | b'"' | b' ' | b'\t' | b'\n' | b'\r'
            )
        };
        let end = self.0.bytes().position(ends);
        self.take(end.unwrap_or(self.0.len()))
    }

    /// Takes any value.
    pub(super) fn value(&mut self) -> &'de str {
        self.peek();
        let start = self.0;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => _ = self.string(),
                b'[' | b'{' => {
                    depth += 1;
                    self.skip(1);
                }
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    self.skip(1);
                }
                b',' | b':' => self.skip(1),
                _ => _ = self.leaf(),
            }
            if depth == 0 {
                break;
            }
        }
        let taken = start.len() - self.0.len();
        start.get(..taken).unwrap_or_default()
    }

    /// Returns `Some` if the object that starts here is a placeholder, with its number, or `None` inside if it has no
    /// valid number. Only its first two members are read: no client writes others, and reading more at every brace
    /// would take time quadratic in the depth.
    pub(crate) fn placeholder(&self) -> Option<Option<usize>> {
        const MARK: (&str, &str) = ("\"_placeholder\"", "true");

        if let Some((number, _)) = self.usual_placeholder() {
            return Some(Some(number));
        }
        let mut text = *self;
        text.eat(b'{')?;
        let first = text.member()?;
        let second = text.eat(b',').and_then(|()| text.member());
        let number = match (first, second) {
            (MARK, number) => number,
            (number, Some(MARK)) => Some(number),
            _ => return None,
        };
        Some(number.and_then(|(_, number)| number.parse().ok()))
    }

    /// Reads a placeholder in the form that every client writes. Returns its number and the text after it.
    fn usual_placeholder(&self) -> Option<(usize, Self)> {
        let rest = self.0.strip_prefix(r#"{"_placeholder":true,"num":"#)?;
        let digits = rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let (number, rest) = rest.split_at_checked(digits)?;
        Some((number.parse().ok()?, Self(rest.strip_prefix('}')?)))
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
        self.eat(b':')?;
        self.peek().filter(|byte| !matches!(byte, b'[' | b'{'))?;
        Some((key, self.leaf()))
    }
}
