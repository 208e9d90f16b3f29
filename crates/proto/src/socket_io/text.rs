//! The default parser: `<type>[<attachments>-][<nsp>,][<ack id>][<JSON>]`.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;

use super::packet::{Event, Kind, Limits, Name, Packet};
use crate::args::reserved;
use crate::{
    Args, DecodeError,
    args::{check_json, check_placeholders},
    engine_io::Text,
};

/// Decodes a packet's text. Returns the packet, and the number of attachments that follow.
///
/// The text of an event without attachments is parsed only up to the end of the event's name; the rest is left to the
/// reader of the arguments. With attachments the whole text is checked, so that no attachments are collected for a
/// packet that would be refused later.
pub(super) fn decode(text: Text, limits: &Limits) -> Result<(Packet, usize), DecodeError> {
    let (text, at) = text.into_parts();
    let Header {
        kind,
        attachments,
        nsp,
        id,
        payload,
    } = Header::read(text.get(at..).unwrap_or_default(), limits)?;
    if attachments > 0 {
        check_json(payload)?;
        check_placeholders(payload, attachments)?;
    }
    let start = text.len() - payload.len();
    let nsp = match nsp {
        "/" => ByteString::from_static("/"),
        other => ByteString::from(other),
    };
    packet(kind, nsp, id, text, start, limits).map(|packet| (packet, attachments))
}

/// Creates a packet from a text whose JSON begins at `start` and extends to its end.
#[inline(always)]
pub(super) fn packet(
    kind: Kind,
    nsp: ByteString,
    id: Option<u64>,
    text: ByteString,
    start: usize,
    limits: &Limits,
) -> Result<Packet, DecodeError> {
    let payload = text.get(start..).unwrap_or_default();
    Ok(match kind {
        Kind::Connect => Packet::Connect {
            nsp,
            auth: auth(payload)?,
        },
        Kind::Disconnect if payload.is_empty() => Packet::Disconnect { nsp },
        Kind::Disconnect => return Err(DecodeError::Payload("none")),
        Kind::Event => {
            let name = event_name(payload, start, limits)?;
            let args = Args::in_packet(text, start, true);
            Packet::Event {
                nsp,
                id,
                event: Event { name, args },
            }
        }
        Kind::Ack if payload.is_empty() => Packet::Ack {
            nsp,
            id,
            args: Args::none(),
        },
        Kind::Ack if payload.starts_with('[') => Packet::Ack {
            nsp,
            id,
            args: Args::in_packet(text, start, false),
        },
        Kind::Ack => return Err(DecodeError::Payload("an array")),
        Kind::ConnectError => Packet::ConnectError {
            nsp,
            data: text.slice_ref(payload),
        },
    })
}

/// The header of a packet's text, and the payload that follows it.
struct Header<'t> {
    kind: Kind,
    attachments: usize,
    nsp: &'t str,
    id: Option<u64>,
    payload: &'t str,
}

impl<'t> Header<'t> {
    fn read(text: &'t str, limits: &Limits) -> Result<Self, DecodeError> {
        let mut chars = text.chars();
        let (kind, binary) = match chars.next().ok_or(DecodeError::Empty)? {
            '0' => (Kind::Connect, false),
            '1' => (Kind::Disconnect, false),
            '2' => (Kind::Event, false),
            '3' => (Kind::Ack, false),
            '4' => (Kind::ConnectError, false),
            '5' => (Kind::Event, true),
            '6' => (Kind::Ack, true),
            other => return Err(DecodeError::UnknownType(other)),
        };
        let rest = chars.as_str();
        let (attachments, rest) = if binary {
            attachments(rest, limits)?
        } else {
            (0, rest)
        };
        let (nsp, rest) = namespace(rest, limits)?;
        let (id, payload) = ack_id(rest)?;
        Ok(Self {
            kind,
            attachments,
            nsp,
            id,
            payload,
        })
    }
}

fn attachments<'t>(rest: &'t str, limits: &Limits) -> Result<(usize, &'t str), DecodeError> {
    let (digits, rest) = digits(rest);
    let rest = rest.strip_prefix('-').ok_or(DecodeError::AttachmentCount)?;
    if digits.is_empty() {
        return Err(DecodeError::AttachmentCount);
    }
    match digits.parse() {
        Ok(0) => Err(DecodeError::AttachmentCount),
        Ok(count) if count <= limits.max_attachments => Ok((count, rest)),
        _ => Err(DecodeError::TooManyAttachments(limits.max_attachments)),
    }
}

/// Splits off the namespace. It ends with a comma, which may be omitted at the end of a packet.
fn namespace<'t>(rest: &'t str, limits: &Limits) -> Result<(&'t str, &'t str), DecodeError> {
    if !rest.starts_with('/') {
        return Ok(("/", rest));
    }
    let (nsp, rest) = rest.split_once(',').unwrap_or((rest, ""));
    if nsp.len() > limits.max_nsp_len {
        return Err(DecodeError::NamespaceTooLong(limits.max_nsp_len));
    }
    Ok((nsp, rest))
}

fn ack_id(rest: &str) -> Result<(Option<u64>, &str), DecodeError> {
    match digits(rest) {
        ("", rest) => Ok((None, rest)),
        (digits, rest) => Ok((Some(digits.parse().map_err(|_| DecodeError::AckId)?), rest)),
    }
}

/// Splits off the leading decimal digits.
fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit());
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or_default()
}

fn auth(payload: &str) -> Result<Option<ByteString>, DecodeError> {
    match payload.bytes().next() {
        None => Ok(None),
        // A copy, because it lives as long as its socket, and the text before it may be long.
        Some(b'{') => check_json(payload).map(|()| Some(payload.into())),
        Some(_) => Err(DecodeError::Payload("an object")),
    }
}

/// Finds the event's name: the first element of the array, which starts at `start` in the packet.
fn event_name(payload: &str, start: usize, limits: &Limits) -> Result<Name, DecodeError> {
    let inner = payload
        .strip_prefix('[')
        .ok_or(DecodeError::Payload("an array"))?;
    let element = inner.trim_start_matches([' ', '\t', '\n', '\r']);
    let at = start + payload.len() - element.len();

    let name = match element.strip_prefix('"') {
        Some(quoted) => match quoted.bytes().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(end) if quoted.as_bytes().get(end) == Some(&b'"') => {
                Name::Plain(at + 1..at + 1 + end)
            }
            Some(_) => Name::Unescaped(unescape(element)?),
            None => return Err(DecodeError::EventName),
        },
        None => Name::Unescaped(number(element)?),
    };
    let text = match &name {
        Name::Plain(range) => payload
            .get(range.start - start..range.end - start)
            .unwrap_or_default(),
        Name::Unescaped(text) => text,
    };
    if text.len() > limits.max_event_len {
        return Err(DecodeError::EventNameTooLong(limits.max_event_len));
    }
    match reserved(text) {
        Some(reserved) => Err(DecodeError::ReservedEvent(reserved)),
        None => Ok(name),
    }
}

/// Returns the first string of a text, unescaped. A lone surrogate, which JavaScript allows, becomes U+FFFD.
pub(super) fn unescape(text: &str) -> Result<Box<str>, DecodeError> {
    let bytes = Bytes::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| DecodeError::Json(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into())
}

/// Returns the number at the start of a text, in JavaScript's form as a property name.
fn number(text: &str) -> Result<Box<str>, DecodeError> {
    /// Integers of at most this many digits have the same form in JavaScript.
    const EXACT: usize = 15;

    let end = text
        .bytes()
        .position(|byte| matches!(byte, b',' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
    let number = end.and_then(|end| text.get(..end)).unwrap_or(text);
    if !number.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(DecodeError::EventName);
    }
    check_json(number)?;
    if number.len() <= EXACT && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(number.into());
    }
    let value: f64 = number.parse().map_err(|_| DecodeError::EventName)?;
    // A negative zero becomes zero, as in a property name.
    Ok((value + 0.0).to_string().into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use DecodeError::*;
    use proptest::prelude::*;

    use super::*;

    /// Formats a packet as one line.
    fn show(packet: &Packet) -> String {
        match packet {
            Packet::Connect { nsp, auth } => {
                format!("connect {nsp} {}", auth.as_deref().unwrap_or("-"))
            }
            Packet::Disconnect { nsp } => format!("disconnect {nsp}"),
            Packet::Event { nsp, id, event } => {
                let (name, json) = (event.name(), event.args().json());
                format!("event {nsp} {id:?} {name} {json}")
            }
            Packet::Ack { nsp, id, args } => format!("ack {nsp} {id:?} {}", args.json()),
            Packet::ConnectError { nsp, data } => format!("connect_error {nsp} {data}"),
        }
    }

    fn read(text: &str) -> Result<String, DecodeError> {
        decode(text.into(), &Limits::default()).map(|(packet, attachments)| match attachments {
            0 => show(&packet),
            count => format!("{count} x {}", show(&packet)),
        })
    }

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, error: DecodeError) {
        assert_eq!(read(text), Err(error), "{text}");
    }

    /// Asserts that a text is accepted here, but that its arguments do not pass the check.
    #[track_caller]
    fn refuses_later(text: &str) {
        let (packet, _) = decode(text.into(), &Limits::default()).unwrap();
        let args = match packet {
            Packet::Event { event, .. } => event.into_args(),
            Packet::Ack { args, .. } => args,
            other => panic!("{other:?} has no arguments"),
        };
        assert!(matches!(args.check(), Err(Json(_))), "{text}");
    }

    #[test]
    fn connect_has_an_object_or_nothing() {
        reads("0", "connect / -");
        reads("0/", "connect / -");
        reads("0/,", "connect / -");
        reads("0{}", "connect / {}");
        reads("05", "connect / -");
        reads("05{}", "connect / {}");
        reads("0/admin", "connect /admin -");
        reads("0/admin,", "connect /admin -");
        reads(
            r#"0/admin,{"token":"\ud800","n":1e999}"#,
            r#"connect /admin {"token":"\ud800","n":1e999}"#,
        );
        for text in [
            "0[]",
            "0null",
            "0\"x\"",
            "0/a,\"x\"",
            "0/a,5\"x\"",
            "0true",
            "0 {}",
            "0-1",
        ] {
            refuses(text, Payload("an object"));
        }
        for text in ["0{", "0{]", "0{}x", "0/a,{\"a\"}"] {
            assert!(matches!(read(text), Err(Json(_))), "{text}");
        }
    }

    #[test]
    fn auth_does_not_keep_what_stood_before_it() {
        let alive = Arc::new(format!("0{}{{}}", "0".repeat(100)));
        let owner = Shared(Arc::clone(&alive));
        let text = ByteString::try_from(Bytes::from_owner(owner)).unwrap();
        let packet = decode(text.into(), &Limits::default()).unwrap().0;
        assert_eq!(show(&packet), "connect / {}");
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    struct Shared(Arc<String>);

    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }

    #[test]
    fn a_namespace_is_literal() {
        reads("0/admin?x=1,", "connect /admin?x=1 -");
        reads("0/\u{e9}/x,{}", "connect /\u{e9}/x {}");
        reads("0//", "connect // -");
        reads(r#"0/a{"b":1}"#, r#"connect /a{"b":1} -"#);
        reads("1/a{}", "disconnect /a{}");
    }

    #[test]
    fn a_long_namespace_is_refused() {
        let name = format!("/{}", "n".repeat(255));
        reads(&format!("0{name},"), &format!("connect {name} -"));
        refuses(&format!("0{name}n,"), NamespaceTooLong(256));
        refuses(&format!("2{name}n,[\"e\"]"), NamespaceTooLong(256));
    }

    #[test]
    fn disconnect_has_no_payload() {
        reads("1", "disconnect /");
        reads("1/admin", "disconnect /admin");
        reads("1/admin,", "disconnect /admin");
        reads("17", "disconnect /");
        refuses("1{}", Payload("none"));
        refuses("1/admin,[]", Payload("none"));
        refuses("1x", Payload("none"));
    }

    #[test]
    fn an_event_has_a_name() {
        reads(r#"2["e"]"#, r#"event / None e ["e"]"#);
        reads(r#"2["e",1]"#, r#"event / None e ["e",1]"#);
        reads(r#"212["e",1]"#, r#"event / Some(12) e ["e",1]"#);
        reads(r#"2/admin,0["e"]"#, r#"event /admin Some(0) e ["e"]"#);
        reads(r#"2[ "e" , 1 ] "#, r#"event / None e [ "e" , 1 ] "#);
        reads(r#"2[""]"#, r#"event / None  [""]"#);
        reads("2[\"\u{1F600}\"]", "event / None \u{1F600} [\"\u{1F600}\"]");
        for text in [
            "2",
            "2/a",
            "2/a,",
            "212",
            "2{}",
            r#"2"x""#,
            "2null",
            "2 [\"e\"]",
            "2-1[\"e\"]",
        ] {
            refuses(text, Payload("an array"));
        }
        for text in [
            "2[]",
            "2[true]",
            "2[null]",
            "2[{}]",
            "2[[]]",
            "2[",
            "2[\"e",
            "2[,\"e\"]",
            "2['e']",
        ] {
            refuses(text, EventName);
        }
    }

    #[test]
    fn a_name_may_have_escapes() {
        reads(r#"2["a\"b"]"#, r#"event / None a"b ["a\"b"]"#);
        reads(r#"2["\u0041\n"]"#, "event / None A\n [\"\\u0041\\n\"]");
        reads(
            r#"2["\ud83d\ude00",1]"#,
            "event / None \u{1F600} [\"\\ud83d\\ude00\",1]",
        );
        let half = read(r#"2["\ud800"]"#).unwrap();
        assert!(half.starts_with("event / None \u{fffd}"), "{half}");
        for text in [r#"2["\x"]"#, r#"2["\u00"]"#, r#"2["\"#, r#"2["\"]"#] {
            assert!(matches!(read(text), Err(Json(_))), "{text}");
        }
    }

    #[test]
    fn a_number_is_its_own_name() {
        reads("2[5,1]", "event / None 5 [5,1]");
        reads("2[ 0 ]", "event / None 0 [ 0 ]");
        reads("2[-5]", "event / None -5 [-5]");
        reads("2[1.50]", "event / None 1.5 [1.50]");
        reads("2[1e3]", "event / None 1000 [1e3]");
        reads("2[-0]", "event / None 0 [-0]");
        reads(
            "2[9007199254740993]",
            "event / None 9007199254740992 [9007199254740993]",
        );
        for text in ["2[01]", "2[1x]", "2[-]", "2[1.]", "2[5"] {
            match read(text) {
                Err(Json(_)) => {}
                Ok(_) => refuses_later(text),
                Err(error) => panic!("{text}: {error}"),
            }
        }
    }

    #[test]
    fn a_long_name_is_refused() {
        let name = "n".repeat(256);
        reads(
            &format!("2[\"{name}\"]"),
            &format!("event / None {name} [\"{name}\"]"),
        );
        refuses(&format!("2[\"{name}n\"]"), EventNameTooLong(256));
        refuses(&format!("2[\"\\n{name}\"]"), EventNameTooLong(256));
        refuses("2[1e300]", EventNameTooLong(256));
    }

    #[test]
    fn reserved_names_are_refused() {
        for name in [
            "connect",
            "connect_error",
            "disconnect",
            "disconnecting",
            "newListener",
            "removeListener",
        ] {
            refuses(&format!("2[\"{name}\"]"), ReservedEvent(name));
            refuses(&format!("2/a,1[\"{name}\",1]"), ReservedEvent(name));
            refuses(&format!("51-[\"{name}\"]"), ReservedEvent(name));
        }
        refuses(r#"2["\u0063onnect"]"#, ReservedEvent("connect"));
        for name in ["error", "connection", "message", "Connect"] {
            assert!(read(&format!("2[\"{name}\"]")).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_ack_has_an_array_or_nothing() {
        reads("31[]", "ack / Some(1) []");
        reads(r#"3/admin,7["ok"]"#, r#"ack /admin Some(7) ["ok"]"#);
        reads("31", "ack / Some(1) []");
        reads("3", "ack / None []");
        reads("3[1]", "ack / None [1]");
        reads(
            "318446744073709551615[]",
            "ack / Some(18446744073709551615) []",
        );
        for text in ["31{}", "31null", "31\"x\"", "3x", "3-1[]"] {
            refuses(text, Payload("an array"));
        }
        refuses_later("31[1");
        refuses_later("31[1]x");
    }

    #[test]
    fn an_id_fits_64_bits() {
        refuses("318446744073709551616[]", AckId);
        refuses("299999999999999999999[\"e\"]", AckId);
        reads("2007[\"e\"]", "event / Some(7) e [\"e\"]");
    }

    #[test]
    fn connect_error_is_known_whatever_it_says() {
        reads("4", "connect_error / ");
        reads("4/a,{\"message\":1}", "connect_error /a {\"message\":1}");
        reads("4x", "connect_error / x");
    }

    #[test]
    fn an_unknown_type_is_refused() {
        refuses("", Empty);
        refuses("7", UnknownType('7'));
        refuses("9", UnknownType('9'));
        refuses("abc", UnknownType('a'));
        refuses("\u{e9}", UnknownType('\u{e9}'));
    }

    #[test]
    fn attachments_are_announced() {
        reads(
            r#"51-["e",{"_placeholder":true,"num":0}]"#,
            r#"1 x event / None e ["e",{"_placeholder":true,"num":0}]"#,
        );
        reads(r#"52-/a,3["e"]"#, r#"2 x event /a Some(3) e ["e"]"#);
        reads("601-7[]", "1 x ack / Some(7) []");
        reads(r#"510-["e"]"#, r#"10 x event / None e ["e"]"#);
        for text in [
            r#"5["x"]"#,
            r#"51["x"]"#,
            "5a-[]",
            "51.5-[]",
            "5-1-[]",
            r#"50-["x"]"#,
            r#"500-["x"]"#,
            "5",
            "5-",
            "51",
            r#"5["a-b"]"#,
            "5 1-[]",
            "5+1-[]",
            "6[]",
            "60-[]",
        ] {
            refuses(text, AttachmentCount);
        }
        refuses(r#"511-["e"]"#, TooManyAttachments(10));
        refuses(r#"599999999999999999999999-["e"]"#, TooManyAttachments(10));
    }

    #[test]
    fn a_packet_with_attachments_is_checked_at_once() {
        for text in [
            r#"51-["e""#,
            r#"51-["e"]x"#,
            r#"51-["e",]"#,
            "61-1[",
            "51-",
            "61-1",
        ] {
            assert!(matches!(read(text), Err(Json(_))), "{text}");
        }
        refuses("51-{}", Payload("an array"));
        refuses("61-{}", Payload("an array"));
        refuses(r#"51-["e",{"_placeholder":true,"num":1}]"#, Placeholder);
        refuses(r#"51-["e",{"_placeholder":true,"num":"0"}]"#, Placeholder);
        refuses(r#"61-1[[{"_placeholder":true,"num":-1}]]"#, Placeholder);
        refuses(r#"51-[{"_placeholder":true,"num":0}]"#, EventName);
        reads(
            r#"51-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
            r#"1 x event / None e ["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        );
    }

    #[test]
    fn a_placeholder_without_attachments_is_data() {
        reads(
            r#"2["e",{"_placeholder":true,"num":9}]"#,
            r#"event / None e ["e",{"_placeholder":true,"num":9}]"#,
        );
    }

    #[test]
    fn malformed_arguments_are_found_later() {
        for text in [
            r#"2["e""#,
            r#"2["e"]x"#,
            r#"2["e",]"#,
            r#"2["e"1]"#,
            r#"2["e",nul]"#,
            "2[\"e\n\"]",
            r#"2["e"]["e"]"#,
            "2[5 5]",
        ] {
            refuses_later(text);
        }
    }

    /// Text that is a packet or nearly one, and arbitrary text.
    fn soup() -> impl Strategy<Value = String> {
        prop_oneof![
            r#"[0-6]([0-3]-)?(/[a-z]{0,9},)?[0-9]{0,2}(\["([a-z]{0,9}|disconnect|\\u006[a-f])"(,[0-9"{}\[\]]{0,3}|,\{"_placeholder":true,"num":[0-3]\}){0,2}\]?)?"#,
            r#"[0-9]?([0-9]{1,3}|-|/[a-z]{0,9}|,|\[|\]|\{|\}|"[a-z]{0,9}"|\\|"|:|null|[ \n\x00\x1e]|€)*"#,
            r"[\x00-\x{10ffff}]*",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_text_is_a_packet_within_the_limits_or_an_error(text in soup()) {
            let limits = Limits {
                max_nsp_len: 6,
                max_event_len: 6,
                max_attachments: 2,
                ..Limits::default()
            };
            if let Ok((packet, attachments)) = decode(text.as_str().into(), &limits) {
                prop_assert!(packet.nsp().starts_with('/') && packet.nsp().len() <= 6);
                prop_assert!(attachments <= 2);
                match packet {
                    Packet::Event { event, .. } => {
                        prop_assert!(event.name().len() <= 6);
                        prop_assert!(reserved(event.name()).is_none());
                        let _ = event.args().check();
                    }
                    Packet::Ack { args, .. } => drop(args.check()),
                    _ => prop_assert_eq!(attachments, 0),
                }
            }
        }
    }
}
