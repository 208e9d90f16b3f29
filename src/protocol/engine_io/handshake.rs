//! The open packet: what a server tells first.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::protocol::Sid;

/// What the packet takes, unless a number is unusual.
const USUAL: usize = 128;

/// What the server tells a new client (Engine.IO protocol, "Handshake").
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Handshake<'a> {
    /// The id of the session.
    pub sid: Sid,
    /// The transports that the client may change to.
    pub upgrades: &'a [&'a str],
    /// The time between two pings; sent in milliseconds, rounded up.
    #[serde(serialize_with = "milliseconds")]
    pub ping_interval: Duration,
    /// The time a client has for its pong; sent in milliseconds, rounded up.
    #[serde(serialize_with = "milliseconds")]
    pub ping_timeout: Duration,
    /// The most that a message or a polling body may have, in bytes.
    pub max_payload: usize,
}

impl Handshake<'_> {
    /// The open packet: `0` and the JSON, its members in the order that every server sends.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut packet = Vec::with_capacity(USUAL);
        packet.push(b'0');
        // Five plain members cannot fail to be written.
        let _ = serde_json::to_writer(&mut packet, self);
        String::from_utf8(packet).unwrap_or_default()
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
