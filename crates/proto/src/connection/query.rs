//! The auth of clients of revision 3, which they send in a query.

use bytestring::ByteString;
use serde_json::{Map, Value};

use crate::decode_query;
use crate::socket_io::Packet;

/// The parameters of a handshake's query that belong to the protocol itself.
const RESERVED: [&str; 6] = ["EIO", "transport", "sid", "t", "b64", "j"];

/// Returns the auth of a client that joins `/` by connecting: the parameters that its application has added to the
/// query of the handshake.
#[must_use]
pub fn handshake_auth(query: &str) -> ByteString {
    auth(query, &RESERVED)
}

/// Splits the query from the namespace of a packet: `/admin?token=x` is the namespace `/admin`. In a CONNECT the query
/// is the auth, which replaces any other that the packet has.
pub(super) fn split(packet: &mut Packet) {
    let nsp = packet.nsp();
    let (name, query) = nsp.split_once('?').unwrap_or((nsp, ""));
    let (name, query) = (nsp.slice_ref(name), nsp.slice_ref(query));
    if let Packet::Connect { auth: given, .. } = packet {
        *given = Some(auth(&query, &[]));
    }
    *packet.nsp_mut() = name;
}

/// Returns the parameters as a JSON object. The last one of a repeated name counts.
fn auth(query: &str, without: &[&str]) -> ByteString {
    let mut object = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode_query(key);
        if !without.contains(&&*key) {
            let value = decode_query(value).into_owned();
            object.insert(key.into_owned(), Value::String(value));
        }
    }
    Value::Object(object).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_connect(nsp: &'static str) -> (String, Option<String>) {
        let mut packet = Packet::Connect {
            nsp: nsp.into(),
            auth: Some(r#"{"token":"not this"}"#.into()),
        };
        split(&mut packet);
        match packet {
            Packet::Connect { nsp, auth } => (nsp.to_string(), auth.map(|auth| auth.to_string())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_query_of_a_namespace_is_its_auth() {
        let auth = |auth: &str| Some(auth.to_owned());
        assert_eq!(
            split_connect("/admin?token=a%20b+c&x=%C3%A9"),
            ("/admin".into(), auth(r#"{"token":"a b c","x":"é"}"#))
        );
        assert_eq!(
            split_connect("/a?x=1&x=2&y&&=3"),
            ("/a".into(), auth(r#"{"":"3","x":"2","y":""}"#))
        );
        assert_eq!(split_connect("/a?"), ("/a".into(), auth("{}")));
        assert_eq!(split_connect("/a"), ("/a".into(), auth("{}")));
        assert_eq!(
            split_connect("/a?q=%ff\""),
            ("/a".into(), auth("{\"q\":\"\u{fffd}\\\"\"}"))
        );
    }

    #[test]
    fn other_packets_lose_the_query() {
        let mut packet = Packet::Disconnect {
            nsp: "/admin?token=x".into(),
        };
        split(&mut packet);
        assert_eq!(packet.nsp(), "/admin");
    }

    #[test]
    fn the_protocols_own_parameters_are_no_auth() {
        let auth = handshake_auth("EIO=3&transport=polling&t=abc&token=x&b64=1&sid=&j=0");
        assert_eq!(auth, r#"{"token":"x"}"#);
    }
}
