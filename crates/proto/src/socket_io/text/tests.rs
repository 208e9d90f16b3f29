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
    decode(text.into(), &PacketLimits::default()).map(|(packet, attachments)| match attachments {
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
    let (packet, _) = decode(text.into(), &PacketLimits::default()).unwrap();
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
    let packet = decode(Text::whole(text), &PacketLimits::default())
        .unwrap()
        .0;
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
        concat!(
            r#"[0-6]([0-3]-)?(/[a-z]{0,9},)?[0-9]{0,2}(\["([a-z]{0,9}|disconnect|\\u006[a-f])""#,
            r#"(,[0-9"{}\[\]]{0,3}|,\{"_placeholder":true,"num":[0-3]\}){0,2}\]?)?"#,
        ),
        r#"[0-9]?([0-9]{1,3}|-|/[a-z]{0,9}|,|\[|\]|\{|\}|"[a-z]{0,9}"|\\|"|:|null|[ \n\x00\x1e]|€)*"#,
        r"[\x00-\x{10ffff}]*",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_a_packet_within_the_limits_or_an_error(text in soup()) {
        let limits = PacketLimits {
            max_nsp_len: 6,
            max_event_len: 6,
            max_attachments: 2,
            ..PacketLimits::default()
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

#[test]
fn arguments_are_read_behind_every_name() {
    let limits = PacketLimits::default();
    for name in ["e", "é", "", r"a\n", r#"a\"b"#, "5"] {
        for space in ["", " ", "\n "] {
            let quote = if name == "5" { "" } else { "\"" };
            let text = format!("2/n,17[{space}{quote}{name}{quote}{space},{space}7,\"x\"{space}]");
            let (packet, _) = decode(text.as_str().into(), &limits).unwrap();
            let Packet::Event { event, .. } = packet else {
                panic!("{text}");
            };
            assert_eq!(
                event.args().deserialize(),
                Ok((7, "x".to_owned())),
                "{text}"
            );
        }
    }
    for text in [
        "2[\"a\nb\",1]",
        "2[\"a\"1]",
        "2[\"a\"",
        "2[\"a\"]]",
        "2[\"a\",]",
    ] {
        let (packet, _) = decode(text.into(), &limits).unwrap();
        let Packet::Event { event, .. } = packet else {
            panic!("{text}");
        };
        let args = event.args();
        for result in [args.deserialize::<()>(), args.deserialize::<u8>().map(drop)] {
            assert!(
                matches!(result, Err(crate::ArgsError::Malformed(_))),
                "{text}"
            );
        }
        assert!(args.check().is_err(), "{text}");
    }
}
