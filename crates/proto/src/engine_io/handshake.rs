//! The open packet, which a server sends first.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::Sid;
use crate::always::always;

/// The usual length of the packet, in bytes.
const USUAL: usize = 128;

/// The data of the open packet that a new client receives (Engine.IO protocol, "Handshake").
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Handshake<'a> {
    /// The id of the session.
    pub sid: Sid,
    /// The transports to which the client may upgrade.
    pub upgrades: &'a [&'a str],
    /// The time between two pings. It is sent in milliseconds, rounded up.
    #[serde(serialize_with = "milliseconds")]
    pub ping_interval: Duration,
    /// The time within which a client must answer a ping. It is sent in milliseconds, rounded up.
    #[serde(serialize_with = "milliseconds")]
    pub ping_timeout: Duration,
    /// The maximum size of a message or a polling body, in bytes.
    pub max_payload: usize,
}

impl Handshake<'_> {
    /// Encodes the open packet: `0` and the JSON, with its members in the order that every server uses.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut packet = Vec::with_capacity(USUAL);
        packet.push(b'0');
        let written = serde_json::to_writer(&mut packet, self).ok();
        always(written, "five plain members can be serialized");
        always(String::from_utf8(packet).ok(), "serde_json writes UTF-8")
    }
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let rounded_up = time.as_nanos().div_ceil(1_000_000);
    serializer.serialize_u64(u64::try_from(rounded_up).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(upgrades: &[&str], ping_interval: Duration) -> String {
        let handshake = Handshake {
            sid: Sid::from_random([0; 15]),
            upgrades,
            ping_interval,
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
        };
        handshake.encode()
    }

    #[test]
    fn the_open_packet_has_five_members_in_order_without_spaces() {
        assert_eq!(
            handshake(&["websocket"], Duration::from_secs(25)),
            r#"0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
    }

    #[test]
    fn fractions_of_a_millisecond_are_rounded_up() {
        assert!(handshake(&[], Duration::from_micros(1)).contains(r#""pingInterval":1,"#));
        assert!(handshake(&[], Duration::from_micros(2001)).contains(r#""pingInterval":3,"#));
        assert!(handshake(&[], Duration::ZERO).contains(r#""upgrades":[],"pingInterval":0,"#));
    }
}
