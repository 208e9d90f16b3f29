//! The open packet, which a server sends first.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Transport;
use crate::always::always;
use crate::{DecodeError, Sid};

/// The usual length of the packet, in bytes.
const USUAL: usize = 128;

/// The data of the open packet that a new client receives (Engine.IO protocol, "Handshake").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenPacket {
    /// The id of the session.
    pub sid: Sid,
    /// The transport to which the client may upgrade.
    #[serde(
        rename = "upgrades",
        serialize_with = "list_upgrade",
        deserialize_with = "find_upgrade"
    )]
    pub upgrade: Option<Transport>,
    /// The time between two pings. It is sent in milliseconds, rounded up.
    #[serde(
        serialize_with = "milliseconds",
        deserialize_with = "from_milliseconds"
    )]
    pub ping_interval: Duration,
    /// The time within which a client must answer a ping. It is sent in milliseconds, rounded up.
    #[serde(
        serialize_with = "milliseconds",
        deserialize_with = "from_milliseconds"
    )]
    pub ping_timeout: Duration,
    /// The maximum size of a message or a polling body, in bytes. Older servers do not send it.
    #[serde(default = "unlimited")]
    pub max_payload: usize,
}

impl OpenPacket {
    /// Encodes the open packet: `0` and the JSON, with its members in the order that every server uses.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut packet = Vec::with_capacity(USUAL);
        packet.push(b'0');
        let written = serde_json::to_writer(&mut packet, self).ok();
        always(written, "five plain members can be serialized");
        always(String::from_utf8(packet).ok(), "serde_json writes UTF-8")
    }

    /// Decodes the data of an open packet, which is the JSON without its digit. Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Json`].
    pub fn decode(data: &str) -> Result<Self, DecodeError> {
        serde_json::from_str(data).map_err(|error| DecodeError::Json(error.to_string()))
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn list_upgrade<S: Serializer>(
    upgrade: &Option<Transport>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(upgrade.iter().map(|transport| transport.as_str()))
}

fn find_upgrade<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Transport>, D::Error> {
    let names: Vec<Cow<'_, str>> = Deserialize::deserialize(deserializer)?;
    let websocket = Transport::WebSocket;
    let may = names.iter().any(|name| name == websocket.as_str());
    Ok(may.then_some(websocket))
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let rounded_up = time.as_nanos().div_ceil(1_000_000);
    serializer.serialize_u64(u64::try_from(rounded_up).unwrap_or(u64::MAX))
}

fn from_milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

const fn unlimited() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_packet(upgrade: Option<Transport>, ping_interval: Duration) -> OpenPacket {
        OpenPacket {
            sid: Sid::from_random([0; 15]),
            upgrade,
            ping_interval,
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
        }
    }

    #[test]
    fn the_open_packet_has_five_members_in_order_without_spaces() {
        let packet = open_packet(Some(Transport::WebSocket), Duration::from_secs(25));
        assert_eq!(
            packet.encode(),
            concat!(
                r#"0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":["websocket"],"#,
                r#""pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
            )
        );
    }

    #[test]
    fn fractions_of_a_millisecond_are_rounded_up() {
        let encode = |interval| open_packet(None, interval).encode();
        assert!(encode(Duration::from_micros(1)).contains(r#""pingInterval":1,"#));
        assert!(encode(Duration::from_micros(2001)).contains(r#""pingInterval":3,"#));
        assert!(encode(Duration::ZERO).contains(r#""upgrades":[],"pingInterval":0,"#));
    }

    #[test]
    fn it_is_decoded_as_it_was_encoded() {
        for upgrade in [None, Some(Transport::WebSocket)] {
            let packet = open_packet(upgrade, Duration::from_secs(25));
            let text = packet.encode();
            let data = text.strip_prefix('0').unwrap();
            assert_eq!(OpenPacket::decode(data), Ok(packet));
        }
    }

    #[test]
    fn other_servers_send_more_or_less() {
        let data = concat!(
            r#"{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":["websocket","webtransport"],"#,
            r#""pingInterval":1,"pingTimeout":2,"x":[]}"#
        );
        let packet = OpenPacket::decode(data).unwrap();
        assert_eq!(packet.upgrade, Some(Transport::WebSocket));
        assert_eq!(packet.max_payload, usize::MAX);
        for data in [
            "",
            "{}",
            "[]",
            r#"{"sid":"short","upgrades":[],"pingInterval":1,"pingTimeout":2}"#,
        ] {
            assert!(
                matches!(OpenPacket::decode(data), Err(DecodeError::Json(_))),
                "{data}"
            );
        }
        let negative = data.replace(":1,", ":-1,");
        assert!(OpenPacket::decode(&negative).is_err());
    }
}
