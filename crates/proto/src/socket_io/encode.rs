//! The encoder of packets as text, with space for the header of a WebSocket frame in front of it.

use bytes::Bytes;

use super::Kind;
use crate::always::always;
use crate::{
    EncodedArgs,
    args::HEADROOM,
    buf::{PacketBytes, scratch},
};

/// The number of bytes that are always free in front of the packet: the longest frame header that a server sends.
const FRAME_HEADER: usize = 10;

/// A packet that is ready to be sent.
#[derive(Clone, Debug)]
pub struct EncodedPacket {
    buf: Vec<u8>,
    start: usize,
    attachments: Vec<Bytes>,
}

impl EncodedPacket {
    /// Creates an event or an acknowledgement. The header is written into the free bytes in front of the arguments.
    #[must_use]
    pub fn from_args(args: EncodedArgs, kind: Kind, nsp: &str, id: Option<u64>) -> Self {
        let (mut buf, attachments) = args.into_parts();
        let mut start = HEADROOM;
        let needed = FRAME_HEADER + header_len(attachments.len(), nsp, id);
        if needed > HEADROOM {
            let more = needed - HEADROOM;
            buf.splice(..0, std::iter::repeat_n(0, more));
            start += more;
        }
        let free = always(buf.get_mut(..start), "the head-room is never cut off");
        let start = write_header(free, kind, attachments.len(), nsp, id);
        Self {
            buf,
            start,
            attachments,
        }
    }

    /// Creates a packet without arguments, with `json` as its payload.
    #[must_use]
    pub fn plain(kind: Kind, nsp: &str, json: Option<&str>) -> Self {
        let json = json.unwrap_or_default();
        let room = FRAME_HEADER + header_len(0, nsp, None);
        let mut buf = scratch::take(room);
        let start = write_header(&mut buf, kind, 0, nsp, None);
        buf.extend_from_slice(json.as_bytes());
        Self {
            buf,
            start,
            attachments: Vec::new(),
        }
    }

    /// Returns the packet as an Engine.IO text: `4`, then the Socket.IO packet.
    #[must_use]
    #[inline]
    pub fn text(&self) -> &str {
        let text = always(self.buf.get(self.start..), "the text is in the buffer");
        always(str::from_utf8(text).ok(), "headers and JSON are UTF-8")
    }

    /// Returns the binary messages that must follow the text.
    #[must_use]
    #[inline]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Returns the length of the text, in bytes.
    #[must_use]
    #[inline]
    pub fn text_len(&self) -> usize {
        self.buf.len().saturating_sub(self.start)
    }

    /// Writes a frame header of at most 10 bytes in front of the text. Returns both, and the attachments.
    #[must_use]
    #[inline]
    pub fn finish(mut self, header: &[u8]) -> (PacketBytes, Vec<Bytes>) {
        let at = self.start.saturating_sub(header.len());
        if let Some(room) = self.buf.get_mut(at..at + header.len()) {
            room.copy_from_slice(header);
        }
        (PacketBytes::new(self.buf, at), self.attachments)
    }
}

/// Returns the length of a header in bytes, or slightly more.
fn header_len(attachments: usize, nsp: &str, id: Option<u64>) -> usize {
    2 + digits(attachments as u64) + 1 + nsp.len() + 1 + id.map_or(0, digits)
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Writes a header backwards from the end of `free`. Returns its offset.
fn write_header(
    free: &mut [u8],
    kind: Kind,
    attachments: usize,
    nsp: &str,
    id: Option<u64>,
) -> usize {
    let mut header = Backwards {
        start: free.len(),
        free,
    };
    if let Some(id) = id {
        header.number(id);
    }
    if nsp != "/" {
        header.bytes(b",");
        header.bytes(nsp.as_bytes());
    }
    if attachments > 0 {
        header.bytes(b"-");
        header.number(attachments as u64);
    }
    header.bytes(match (kind, attachments) {
        (Kind::Connect, _) => b"40",
        (Kind::Disconnect, _) => b"41",
        (Kind::Event, 0) => b"42",
        (Kind::Ack, 0) => b"43",
        (Kind::ConnectError, _) => b"44",
        (Kind::Event, _) => b"45",
        (Kind::Ack, _) => b"46",
    });
    header.start
}

/// A writer that fills a buffer from its end.
struct Backwards<'b> {
    free: &'b mut [u8],
    start: usize,
}

impl Backwards<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let start = self.start.saturating_sub(bytes.len());
        if let Some(place) = self.free.get_mut(start..start + bytes.len()) {
            place.copy_from_slice(bytes);
            self.start = start;
        }
    }

    fn number(&mut self, mut number: u64) {
        loop {
            self.bytes(&[b'0' + (number % 10) as u8]);
            number /= 10;
            if number == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        engine_io,
        socket_io::{Assembler, Packet, PacketLimits},
    };

    fn event(nsp: &str, id: Option<u64>) -> EncodedPacket {
        let args = EncodedArgs::event("e", &1).unwrap();
        EncodedPacket::from_args(args, Kind::Event, nsp, id)
    }

    #[test]
    fn the_main_namespace_is_left_out() {
        assert_eq!(event("/", None).text(), r#"42["e",1]"#);
        assert_eq!(event("/", Some(0)).text(), r#"420["e",1]"#);
        assert_eq!(event("/admin", None).text(), r#"42/admin,["e",1]"#);
        assert_eq!(event("/admin", Some(120)).text(), r#"42/admin,120["e",1]"#);
    }

    #[test]
    fn attachments_change_the_type() {
        let bytes = Bytes::from_static(b"x");
        let args = EncodedArgs::event("e", &bytes).unwrap();
        let packet = EncodedPacket::from_args(args, Kind::Event, "/a", Some(7));
        assert_eq!(
            packet.text(),
            r#"451-/a,7["e",{"_placeholder":true,"num":0}]"#
        );
        assert_eq!(packet.attachments(), ["x"]);

        let args = EncodedArgs::ack(&vec![&bytes; 12]).unwrap();
        let packet = EncodedPacket::from_args(args, Kind::Ack, "/", Some(7));
        assert!(packet.text().starts_with(r#"4612-7[[{"_placeholder""#));
        assert_eq!(packet.attachments().len(), 12);
    }

    #[test]
    fn an_ack_is_an_array() {
        let args = EncodedArgs::ack(&()).unwrap();
        let packet = EncodedPacket::from_args(args, Kind::Ack, "/", Some(u64::MAX));
        assert_eq!(packet.text(), "4318446744073709551615[]");
    }

    #[test]
    fn plain_packets_have_a_payload_or_none() {
        let text = |kind, nsp, json| EncodedPacket::plain(kind, nsp, json).text().to_owned();
        assert_eq!(
            text(Kind::Connect, "/", Some(r#"{"sid":"x"}"#)),
            r#"40{"sid":"x"}"#
        );
        assert_eq!(text(Kind::Connect, "/a", Some("{}")), "40/a,{}");
        assert_eq!(text(Kind::Disconnect, "/", None), "41");
        assert_eq!(text(Kind::Disconnect, "/admin", None), "41/admin,");
        assert_eq!(
            text(Kind::ConnectError, "/a", Some(r#"{"message":"no"}"#)),
            r#"44/a,{"message":"no"}"#
        );
    }

    #[test]
    fn a_usual_header_does_not_move_the_arguments() {
        let args = EncodedArgs::event("e", &1).unwrap();
        let json = args.json().as_ptr();
        let packet = EncodedPacket::from_args(args, Kind::Event, "/a-usual-namespace", Some(123));
        assert_eq!(packet.text().len() - r#"["e",1]"#.len(), 24);
        assert_eq!(packet.text().as_ptr().wrapping_add(24), json);
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Event), Just(Kind::Ack)]
    }

    proptest! {
        #[test]
        fn encoded_packets_are_decoded_with_room_for_a_frame_header(
            kind in any_kind(),
            nsp in "/|/[^,\\x00]{0,80}",
            id: Option<u64>,
            name in "e\\PC{0,10}",
            text: String,
            binary in prop::collection::vec(any::<Vec<u8>>(), 0..4),
        ) {
            let bytes: Vec<Bytes> = binary.into_iter().map(Bytes::from).collect();
            let args = match kind {
                Kind::Event => EncodedArgs::event(&name, &(&text, &bytes)).unwrap(),
                _ => EncodedArgs::ack(&(&text, &bytes)).unwrap(),
            };
            let EncodedPacket { buf, start, attachments } = EncodedPacket::from_args(args, kind, &nsp, id);
            prop_assert!(start >= FRAME_HEADER);
            prop_assert_eq!(&attachments, &bytes);

            let limits = PacketLimits { max_nsp_len: 1000, ..PacketLimits::default() };
            let text_packet = str::from_utf8(&buf[start..]).unwrap();
            let engine_io::Packet::Message(message) = engine_io::Packet::decode_text(text_packet.into()).unwrap() else {
                panic!("no message");
            };
            let mut assembler = Assembler::new();
            let mut packet = assembler.feed(message, &limits).unwrap();
            for attachment in attachments {
                prop_assert!(packet.is_none());
                packet = assembler.feed(engine_io::Message::Binary(attachment), &limits).unwrap();
            }
            let args = match packet {
                Some(Packet::Event { nsp: read_nsp, id: read_id, event }) => {
                    prop_assert_eq!((&*read_nsp, read_id, event.name()), (&*nsp, id, &*name));
                    event.into_args()
                }
                Some(Packet::Ack { nsp: read_nsp, id: read_id, args }) => {
                    prop_assert_eq!((&*read_nsp, read_id), (&*nsp, id));
                    args
                }
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(args.deserialize::<(String, Vec<Bytes>)>(), Ok((text, bytes)));
        }

        #[test]
        fn plain_packets_have_room_for_a_frame_header(nsp in "/[a-z]{0,80}", json: Option<String>) {
            let EncodedPacket { buf, start, .. } = EncodedPacket::plain(Kind::Connect, &nsp, json.as_deref());
            prop_assert!(start >= FRAME_HEADER);
            prop_assert!(buf.len() > start);
        }
    }
}
