//! The decoder of a packet from a message.

use std::borrow::Cow;
use std::io::Write;

use bytes::Bytes;

use super::value_reader::{Value, ValueReader};
use super::{date, malformed};
use crate::DecodeError;
use crate::buf::copy;
use crate::socket_io::{Kind, PacketLimits, Parts};

/// The maximum depth of nested arguments. The limit of JavaScript is some thousands.
const MAX_DEPTH: usize = 1024;
/// The initial capacity of the JSON text, in bytes: enough for most arguments.
const TYPICAL: usize = 512;
/// The bound below which a double represents every integer exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Decodes a packet. The last of duplicate members wins, and unknown members are skipped.
pub(super) fn packet(
    message: &Bytes,
    limits: &PacketLimits,
) -> Result<Parts<'static>, DecodeError> {
    let mut input = ValueReader::new(message);
    let Value::Map(members) = input.next()? else {
        return Err(malformed("not a map"));
    };
    let (mut kind, mut nsp, mut id, mut data) = (None, None, None, None);
    for _ in 0..members {
        match input.next()? {
            Value::Text(b"type") => kind = Some(read_kind(input.next()?)?),
            Value::Text(b"nsp") => nsp = Some(read_nsp(input.next()?, limits)?),
            Value::Text(b"id") => id = read_id(input.next()?)?,
            Value::Text(b"data") => data = Json::read(&mut input, message, limits)?,
            Value::Text(_) => input.skip()?,
            _ => return Err(malformed("a key that is not text")),
        }
    }
    if !input.rest.is_empty() {
        return Err(malformed("bytes behind the packet"));
    }
    let (json, attachments) = data.unzip();
    Ok(Parts {
        kind: kind.ok_or(malformed("no type"))?,
        nsp: nsp.ok_or(malformed("no namespace"))?,
        id,
        json: json.map(Cow::Owned),
        attachments: attachments.unwrap_or_default().into(),
    })
}

/// Decodes a single value as JSON, whose placeholders refer to the returned attachments. A value of nil is `null`.
pub(super) fn json(
    message: &Bytes,
    max_attachments: usize,
) -> Result<(String, Vec<Bytes>), DecodeError> {
    let mut input = ValueReader::with_timestamps(message);
    let limits = PacketLimits {
        max_attachments,
        ..PacketLimits::default()
    };
    let read = Json::read(&mut input, message, &limits)?;
    if !input.rest.is_empty() {
        return Err(malformed("bytes behind the value"));
    }
    Ok(read.unwrap_or_else(|| ("null".to_owned(), Vec::new())))
}

/// Returns a value that is a whole number and not negative, in whatever form it is encoded.
fn whole(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Unsigned(number) => Some(number),
        Value::Signed(number) => number.try_into().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        #[expect(clippy::cast_sign_loss, reason = "it is not negative")]
        Value::Float(number) if number.fract() == 0.0 && (0.0..EXACT).contains(&number) => {
            Some(number as u64)
        }
        _ => None,
    }
}

fn read_kind(value: Value<'_>) -> Result<Kind, DecodeError> {
    Ok(match whole(value) {
        Some(0) => Kind::Connect,
        Some(1) => Kind::Disconnect,
        Some(2) => Kind::Event,
        Some(3) => Kind::Ack,
        Some(4) => Kind::ConnectError,
        _ => return Err(malformed("unknown packet type")),
    })
}

fn read_nsp(value: Value<'_>, limits: &PacketLimits) -> Result<Cow<'static, str>, DecodeError> {
    match value {
        Value::Text(b"/") => Ok("/".into()),
        Value::Text(nsp) if nsp.len() > limits.max_nsp_len => {
            Err(DecodeError::NamespaceTooLong(limits.max_nsp_len))
        }
        Value::Text(nsp) => Ok(String::from_utf8_lossy(nsp).into_owned().into()),
        _ => Err(malformed("a namespace that is not text")),
    }
}

/// Reads the id. python-socketio and others write nil if there is none.
fn read_id(value: Value<'_>) -> Result<Option<u64>, DecodeError> {
    match value {
        Value::Nil | Value::Undefined => Ok(None),
        value => whole(value).map(Some).ok_or(DecodeError::AckId),
    }
}

/// The JSON text that is being written.
struct Json<'m> {
    text: Vec<u8>,
    attachments: Vec<Bytes>,
    /// The arrays and objects that are not closed yet.
    open: Vec<Open>,
    message: &'m Bytes,
    max_attachments: usize,
}

/// An open array or object, with the number of elements or members that remain.
struct Open {
    close: u8,
    left: u32,
}

impl<'m> Json<'m> {
    /// Translates a value and everything in it. Returns `None` if it is nil. Memory is allocated for the data that is
    /// present, whatever length is declared.
    fn read(
        input: &mut ValueReader<'m>,
        message: &'m Bytes,
        limits: &PacketLimits,
    ) -> Result<Option<(String, Vec<Bytes>)>, DecodeError> {
        let mut json = Self {
            text: Vec::with_capacity(input.rest.len().min(TYPICAL)),
            attachments: Vec::new(),
            open: Vec::new(),
            message,
            max_attachments: limits.max_attachments,
        };
        let first = input.next()?;
        if matches!(first, Value::Nil | Value::Undefined) {
            return Ok(None);
        }
        json.value(first)?;
        while json.go_on(input)? {
            json.value(input.next()?)?;
        }
        // The text has been written here, as UTF-8.
        let text = String::from_utf8(json.text).map_err(malformed)?;
        Ok(Some((text, json.attachments)))
    }

    /// Closes complete arrays and objects, and begins the next element or member. Returns false at the end.
    fn go_on(&mut self, input: &mut ValueReader<'m>) -> Result<bool, DecodeError> {
        while let Some(open) = self.open.last_mut() {
            if open.left == 0 {
                self.text.push(open.close);
                self.open.pop();
                continue;
            }
            open.left -= 1;
            if open.close == b']' {
                self.separate();
                return Ok(true);
            }
            let before = self.text.len();
            self.separate();
            self.key(input.next()?)?;
            if !input.undefined()? {
                return Ok(true);
            }
            self.text.truncate(before);
        }
        Ok(false)
    }

    fn separate(&mut self) {
        if !matches!(self.text.last(), Some(b'[' | b'{')) {
            self.text.push(b',');
        }
    }

    fn value(&mut self, value: Value<'_>) -> Result<(), DecodeError> {
        match value {
            Value::Nil | Value::Undefined => self.raw("null"),
            Value::Bool(true) => self.raw("true"),
            Value::Bool(false) => self.raw("false"),
            Value::Unsigned(number) => self.show(number),
            Value::Signed(number) => self.show(number),
            Value::Float(number) => self.float(number),
            Value::Text(text) => self.string(&String::from_utf8_lossy(text)),
            Value::Date(millis) => match date::iso(millis) {
                Some(date) => self.string(&date),
                None => self.raw("null"),
            },
            Value::Binary(data) => self.binary(data)?,
            Value::Array(left) => self.open(b'[', b']', left)?,
            Value::Map(left) => self.open(b'{', b'}', left)?,
            // The JavaScript package returns extensions in this form.
            Value::Extension(kind, data) => {
                self.raw("[");
                self.show(kind);
                self.raw(",");
                self.binary(data)?;
                self.raw("]");
            }
        }
        Ok(())
    }

    /// Writes a key as text, in JavaScript's form as a property name.
    fn key(&mut self, key: Value<'_>) -> Result<(), DecodeError> {
        match key {
            // Next to attachments, an object of the client could look like a placeholder. The escape prevents that.
            Value::Text(b"_placeholder") => self.raw(r#""\u005fplaceholder""#),
            Value::Text(text) => self.string(&String::from_utf8_lossy(text)),
            Value::Unsigned(_) | Value::Signed(_) | Value::Bool(_) | Value::Nil => {
                self.raw("\"");
                self.value(key)?;
                self.raw("\"");
            }
            _ => return Err(malformed("a key that is not text")),
        }
        self.raw(":");
        Ok(())
    }

    fn raw(&mut self, json: &str) {
        self.text.extend_from_slice(json.as_bytes());
    }

    fn show(&mut self, number: impl std::fmt::Display) {
        // Writing to a vector does not fail.
        let _ = write!(self.text, "{number}");
    }

    fn string(&mut self, text: &str) {
        let _ = serde_json::to_writer(&mut self.text, text);
    }

    /// Writes a number as JavaScript does: a whole number in any encoding is an integer, one that is not finite is
    /// `null`.
    fn float(&mut self, number: f64) {
        if number.fract() == 0.0 && number.abs() < EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            return self.show(number as i64);
        }
        let _ = serde_json::to_writer(&mut self.text, &number);
    }

    fn binary(&mut self, data: &[u8]) -> Result<(), DecodeError> {
        let number = self.attachments.len();
        if number >= self.max_attachments {
            return Err(DecodeError::TooManyAttachments(self.max_attachments));
        }
        // A small attachment is copied, so that it does not keep the whole message in memory.
        self.attachments
            .push(if data.len() > self.message.len() / 2 {
                self.message.slice_ref(data)
            } else {
                copy::to_vec(data).into()
            });
        let _ = write!(self.text, r#"{{"_placeholder":true,"num":{number}}}"#);
        Ok(())
    }

    fn open(&mut self, bracket: u8, close: u8, left: u32) -> Result<(), DecodeError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(malformed(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        self.text.push(bracket);
        self.open.push(Open { close, left });
        Ok(())
    }
}
