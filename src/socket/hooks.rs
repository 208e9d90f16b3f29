//! Hooks of the application: the values that they are called with, and those for events that are sent to clients.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

use super::Socket;
use crate::metrics::Hook;
use crate::outbox::Frame;
use crate::panics::guarded;
use proto::always;
use proto::socket_io::{Codec, Decoding, Event, Packet, PacketLimits, Parser};

/// A rejection of the arguments of an event; see [`Namespace::on_rejection`](crate::Namespace::on_rejection).
#[derive(Debug)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// The socket that sent the event.
    pub socket: &'a Socket,
    /// The event's name.
    pub event: &'a str,
    /// The status that the extractor's rejection has over HTTP.
    pub status: StatusCode,
    /// The error message that the client receives.
    pub message: &'a str,
}

/// A failure of a handler; see [`Namespace::on_error`](crate::Namespace::on_error).
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed<'a> {
    /// The socket that the handler was called for.
    pub socket: &'a Socket,
    /// The event's name, or `connect` or `disconnect` for these handlers.
    pub event: &'a str,
    /// The status that the error of an event's handler has over HTTP; 500 for all others.
    pub status: StatusCode,
    /// The message of the error: the `message` or the `error` of its JSON body, or its text. The client receives no
    /// more than this, and less for a panic.
    pub message: &'a str,
    /// True if the handler has panicked. The panic's message is in the server's log.
    pub panicked: bool,
}

/// An event that is emitted to one socket.
///
/// See [`Namespace::on_any_outgoing`](crate::Namespace::on_any_outgoing).
#[derive(Debug)]
#[non_exhaustive]
pub struct Outgoing<'a> {
    /// The socket that the event is sent to.
    pub socket: &'a Socket,
    /// The event's name.
    pub event: &'a str,
    /// The JSON array that the client receives: the name, then the arguments. Attachments are placeholders in it.
    pub json: &'a str,
}

/// The hooks of a namespace.
#[derive(Default)]
pub(crate) struct OutgoingHooks(Vec<Box<dyn Fn(&Outgoing<'_>) + Send + Sync>>);

impl OutgoingHooks {
    pub(crate) fn add(&mut self, hook: impl Fn(&Outgoing<'_>) + Send + Sync + 'static) {
        self.0.push(Box::new(hook));
    }

    /// Adds those of another namespace, after these.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn call(&self, socket: &Socket, frame: &Frame) {
        match &socket.namespace().options.codec {
            Codec::Default => {
                if let Some(json) = json(frame.text(), socket.nsp()) {
                    self.show(socket, &name(json), json);
                }
            }
            Codec::Other(parser) => {
                if let Some(event) = read(&**parser, frame, socket) {
                    self.show(socket, event.name(), event.args().json());
                }
            }
        }
    }

    fn show(&self, socket: &Socket, event: &str, json: &str) {
        let outgoing = Outgoing {
            socket,
            event,
            json,
        };
        for hook in &self.0 {
            // A panic of one hook affects neither the other hooks nor the delivery.
            if let Err(panicked) = guarded(|| hook(&outgoing)) {
                socket.report_panic(Hook::OnAnyOutgoing, &panicked);
            }
        }
    }
}

impl fmt::Debug for OutgoingHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OutgoingHooks").field(&self.0.len()).finish()
    }
}

/// Decodes the output of another parser. Hooks are rare, so the event is not stored beside its encoded form.
fn read(parser: &dyn Parser, frame: &Frame, socket: &Socket) -> Option<Event> {
    let limits = PacketLimits::none();
    let mut decoding = Decoding::Other(parser.decoder());
    for message in frame.messages() {
        match decoding.feed(message, &limits) {
            Ok(Some(Packet::Event { event, .. })) => return Some(event),
            Ok(_) => {}
            Err(error) => {
                if socket.client().logs.allow() {
                    let parser = format!("{parser:?}");
                    tracing::warn!(
                        error = error.to_string(),
                        parser,
                        "the parser cannot read what it has written"
                    );
                }
                return None;
            }
        }
    }
    None
}

/// Returns the JSON array of an event that was encoded by the default parser.
fn json<'a>(packet: &'a [u8], nsp: &str) -> Option<&'a str> {
    let packet = str::from_utf8(packet).ok()?;
    // The name of the namespace may contain a bracket. The text before the name contains no slash.
    let behind = match nsp {
        "/" => packet,
        nsp => packet.get(packet.find('/')? + nsp.len()..)?,
    };
    behind.get(behind.find('[')?..)
}

/// Returns the first element, a string, of an array that was encoded by the default parser.
fn name(json: &str) -> Cow<'_, str> {
    let quoted = always(json.strip_prefix("[\""), "an event begins with its name");
    let end = quoted.find(['"', '\\']).unwrap_or_default();
    match quoted.split_at_checked(end) {
        Some((name, rest)) if rest.starts_with('"') => name.into(),
        // The name contains escapes.
        _ => {
            let elements = always(json.strip_prefix('['), "an event is an array");
            let mut names = serde_json::Deserializer::from_str(elements).into_iter::<String>();
            names.next().and_then(Result::ok).unwrap_or_default().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::EncodedArgs;
    use proto::socket_io::{EncodedPacket, Kind};

    #[test]
    fn an_event_is_found_in_its_packet() {
        for nsp in ["/", "/chat", "/a[b", "/a/b"] {
            for (event, json_name) in [
                ("x", r#""x""#),
                ("a b", r#""a b""#),
                (r#"a"[\b"#, r#""a\"[\\b""#),
                ("", r#""""#),
            ] {
                for id in [None, Some(17)] {
                    let image = bytes::Bytes::from_static(b"x");
                    let args = (1, proto::Binary::from(image));
                    let args = EncodedArgs::event(event, &args).unwrap();
                    let packet = EncodedPacket::from_args(args, Kind::Event, nsp, id);
                    let frame = Frame::new(packet);
                    let json = json(frame.text(), nsp).unwrap();
                    let placeholder = r#"{"_placeholder":true,"num":0}"#;
                    assert_eq!(json, format!("[{json_name},1,{placeholder}]"));
                    assert_eq!(name(json), event);
                }
            }
        }
    }
}
