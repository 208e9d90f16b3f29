//! The encoder of a packet as a message.

use std::io;

use bytes::Bytes;
use rmp::encode;

use crate::always::always;
use crate::args::scan::Scanner;
use crate::buf::copy;
use crate::socket_io::{Kind, Parts, text::unescape};

/// Encodes a JSON value whose placeholders refer to attachments.
pub(super) fn json(json: &str, attachments: &[Bytes]) -> Vec<u8> {
    let attached: usize = attachments.iter().map(|data| data.len() + 5).sum();
    let mut message = Vec::with_capacity(json.len() + attached);
    always(
        value(json, attachments, &mut message).ok(),
        "a vector can be written to",
    );
    message
}

/// Encodes a packet.
pub(super) fn packet(packet: &Parts<'_>) -> Vec<u8> {
    let size = packet.json.as_deref().map_or(0, str::len);
    let attached: usize = packet.attachments.iter().map(|data| data.len() + 5).sum();
    let mut message = Vec::with_capacity(32 + packet.nsp.len() + size + attached);
    always(
        write(packet, &mut message).ok(),
        "a vector can be written to",
    );
    message
}

fn write(packet: &Parts<'_>, message: &mut Vec<u8>) -> io::Result<()> {
    let members = 2 + u32::from(packet.json.is_some()) + u32::from(packet.id.is_some());
    encode::write_map_len(message, members)?;
    encode::write_str(message, "type")?;
    encode::write_uint(message, number(packet.kind))?;
    encode::write_str(message, "nsp")?;
    encode::write_str(message, &packet.nsp)?;
    if let Some(json) = &packet.json {
        encode::write_str(message, "data")?;
        value(json, &packet.attachments, message)?;
    }
    if let Some(id) = packet.id {
        encode::write_str(message, "id")?;
        encode::write_uint(message, id)?;
    }
    Ok(())
}

const fn number(kind: Kind) -> u64 {
    match kind {
        Kind::Connect => 0,
        Kind::Disconnect => 1,
        Kind::Event => 2,
        Kind::Ack => 3,
        Kind::ConnectError => 4,
    }
}

/// A token of JSON. Commas and colons are omitted, because a value begins where the previous one ends.
enum Token<'t> {
    Array,
    Object,
    Close,
    Attachment(usize),
    /// A string with its quotes.
    String(&'t str),
    Other(&'t str),
}

struct Tokens<'t> {
    json: Scanner<'t>,
    attachments: usize,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        while let Some(byte) = self.json.peek() {
            match byte {
                b',' | b':' => self.json.eat(char::from(byte))?,
                b']' | b'}' => {
                    self.json.eat(char::from(byte))?;
                    return Some(Token::Close);
                }
                b'[' => {
                    self.json.eat(char::from(byte))?;
                    return Some(Token::Array);
                }
                b'{' => {
                    let attachments = self.attachments;
                    // A packet without attachments has no placeholders. A number out of range is not one either.
                    let placeholder = (attachments > 0).then(|| self.json.placeholder());
                    let number = placeholder.flatten().flatten();
                    if let Some(number) = number.filter(|&number| number < attachments) {
                        self.json.take_placeholder();
                        return Some(Token::Attachment(number));
                    }
                    self.json.eat(char::from(byte))?;
                    return Some(Token::Object);
                }
                b'"' => return Some(Token::String(self.json.leaf())),
                _ => return Some(Token::Other(self.json.leaf())),
            }
        }
        None
    }
}

fn tokens<'t>(json: &'t str, attachments: &[Bytes]) -> Tokens<'t> {
    Tokens {
        json: Scanner::new(json),
        attachments: attachments.len(),
    }
}

/// Returns the number of values in each array and object, keys included, in the order in which they begin.
fn lengths(tokens: Tokens<'_>) -> Vec<u32> {
    let mut lengths: Vec<u32> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for token in tokens {
        if let Token::Close = token {
            open.pop();
            continue;
        }
        if let Some(length) = open.last().and_then(|&at| lengths.get_mut(at)) {
            *length += 1;
        }
        if let Token::Array | Token::Object = token {
            open.push(lengths.len());
            lengths.push(0);
        }
    }
    lengths
}

/// The reason for which each array and object has a length.
const COUNTED: &str = "all have been counted";

/// Writes a JSON value. The text is scanned twice, because an array in MessagePack begins with its length. There is no
/// recursion, because received JSON may be nested without limit.
fn value(json: &str, attachments: &[Bytes], message: &mut Vec<u8>) -> io::Result<()> {
    let mut lengths = lengths(tokens(json, attachments)).into_iter();
    for token in tokens(json, attachments) {
        match token {
            Token::Array => {
                let length = always(lengths.next(), COUNTED);
                encode::write_array_len(message, length)?;
            }
            Token::Object => {
                let length = always(lengths.next(), COUNTED);
                encode::write_map_len(message, length / 2)?;
            }
            Token::Close => {}
            Token::Attachment(number) => {
                let data = attachments.get(number).map(|data| &data[..]);
                let data = always(data, "it is the number of an attachment");
                encode::write_bin_len(message, u32::try_from(data.len()).unwrap_or(u32::MAX))?;
                copy::append(message, data);
            }
            Token::String(quoted) => string(quoted, message)?,
            Token::Other(literal) => other(literal, message)?,
        }
    }
    Ok(())
}

fn string(quoted: &str, message: &mut Vec<u8>) -> io::Result<()> {
    let plain = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .filter(|text| !text.contains('\\'));
    match plain {
        Some(text) => encode::write_str(message, text)?,
        None => encode::write_str(
            message,
            &always(unescape(quoted).ok(), "the JSON is well-formed"),
        )?,
    }
    Ok(())
}

/// Writes a number or a literal.
fn other(literal: &str, message: &mut Vec<u8>) -> io::Result<()> {
    match literal {
        "true" | "false" => encode::write_bool(message, literal == "true")?,
        number => {
            if let Ok(number) = number.parse() {
                encode::write_uint(message, number)?;
            } else if let Ok(number) = number.parse() {
                encode::write_sint(message, number)?;
            } else if let Ok(number) = number.parse() {
                encode::write_f64(message, number)?;
            } else {
                encode::write_nil(message)?;
            }
        }
    }
    Ok(())
}
