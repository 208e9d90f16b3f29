//! Acknowledgements that are sent to the client.

use serde_json::value::RawValue;

use super::{AckBody, HandlerAnswer, Socket};
use crate::namespace::AckFormat;
use proto::always;
use proto::socket_io::Kind;

/// Sends the answer of a handler, in the server's format.
pub(crate) fn reply(socket: &Socket, id: u64, body: AckBody) {
    let options = &socket.namespace().options;
    let args = match (options.ack_format, body.0) {
        (_, HandlerAnswer::Silent | HandlerAnswer::Malformed(_)) => return,
        (AckFormat::Value, HandlerAnswer::Ok(args) | HandlerAnswer::Error(args, _)) => args,
        (AckFormat::Tagged, HandlerAnswer::Ok(args)) => {
            args.map_json(|list| format!(r#"[{{"data":{}}}]"#, value(list)))
        }
        (AckFormat::Tagged, HandlerAnswer::Error(args, _)) => {
            args.map_json(|list| match value(list) {
                tagged if tagged.starts_with(r#"{"error":"#) => list.to_owned(),
                value => format!(r#"[{{"error":{value}}}]"#),
            })
        }
        (AckFormat::ErrorFirst, HandlerAnswer::Ok(args)) => {
            args.map_json(|list| match inner(list) {
                "" => "[null]".to_owned(),
                values => format!("[null,{values}]"),
            })
        }
        (AckFormat::ErrorFirst, HandlerAnswer::Error(args, _)) => args,
    };
    let nsp = socket.nsp();
    socket.push_required(options.codec.packet(args, Kind::Ack, nsp, Some(id)));
}

/// Returns the only value of an array; the array itself if it has several, and `null` if it is empty.
fn value(list: &str) -> &str {
    let mut values = serde_json::Deserializer::from_str(inner(list)).into_iter::<&RawValue>();
    let only = values.next().and_then(Result::ok);
    match only.map(RawValue::get) {
        None => "null",
        Some(only) if only == inner(list) => only,
        Some(_) => list,
    }
}

/// Returns the text between the brackets of an array.
fn inner(list: &str) -> &str {
    let inner = list
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'));
    always(inner, "arguments are an array")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_values_are_a_list_and_none_is_null() {
        for list in ["[1,2]", "[[1],{}]", r#"["a,b","c"]"#] {
            assert_eq!(value(list), list);
        }
        for only in ["1", "[1,2]", r#"{"a":[1,2],"b":"]"}"#, r#""a,b""#, "null"] {
            assert_eq!(value(&format!("[{only}]")), only);
        }
        assert_eq!(value("[]"), "null");
    }
}
