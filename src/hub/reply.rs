//! An acknowledgement on its way to the client.

use super::{AckBody, AckFormat, Answer, Socket};
use crate::protocol::socket_io::Kind;

/// Sends what a handler answered, in the server's format.
pub(crate) fn reply(socket: &Socket, id: u64, body: AckBody) {
    let options = &socket.namespace().options;
    let args = match (options.ack_format, body.0) {
        (_, Answer::Silent | Answer::Malformed(_)) => return,
        (AckFormat::Value, Answer::Ok(args) | Answer::Error(args, _)) => args,
        (AckFormat::Tagged, Answer::Ok(args)) => args.map_json(|list| {
            let value = inner(list);
            format!(
                r#"[{{"data":{}}}]"#,
                if value.is_empty() { "null" } else { value }
            )
        }),
        (AckFormat::Tagged, Answer::Error(args, _)) => args.map_json(|list| match inner(list) {
            tagged if tagged.starts_with(r#"{"error":"#) => list.to_owned(),
            value => format!(r#"[{{"error":{value}}}]"#),
        }),
        (AckFormat::ErrorFirst, Answer::Ok(args)) => args.map_json(|list| match inner(list) {
            "" => "[null]".to_owned(),
            values => format!("[null,{values}]"),
        }),
        (AckFormat::ErrorFirst, Answer::Error(args, _)) => args,
    };
    let nsp = socket.nsp();
    socket.push_owed(options.codec.packet(args, Kind::Ack, nsp, Some(id)));
}

/// The text between the brackets of an array.
fn inner(list: &str) -> &str {
    list.strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
        .unwrap_or_default()
}
