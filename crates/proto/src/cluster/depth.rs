//! The depth of the JSON texts of messages.

use super::message::{Body, ClientAnswer, FetchAnswer};

/// The maximum depth of nesting. A server of Node.js encodes events recursively, and exits at a depth of some
/// thousands.
pub(super) const MAX_DEPTH: usize = 1000;

impl Body<'_> {
    /// Returns true if the message would end a server of Node.js.
    #[must_use]
    pub fn is_too_deep(&self) -> bool {
        match self {
            Body::Broadcast { args, .. } | Body::ServerEvent { args, .. } => is_deep(args),
            Body::ServerAnswer { answer, args, .. } => {
                let mut texts = [answer, args].into_iter().flatten();
                texts.any(|text| is_deep(text))
            }
            Body::ClientAnswer {
                answer: ClientAnswer::Answered { answer, args },
                ..
            } => is_deep(answer) || args.as_ref().is_some_and(|args| is_deep(args)),
            Body::FetchAnswer {
                answer: FetchAnswer::Sockets(sockets),
                ..
            } => sockets.iter().any(|socket| is_deep(&socket.data)),
            _ => false,
        }
    }
}

fn is_deep(json: &str) -> bool {
    // A text has at least two brackets for each level.
    json.len() > 2 * MAX_DEPTH && depth(json) > MAX_DEPTH
}

/// Returns the depth of valid JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut max) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                max = max.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_do_not_nest() {
        assert_eq!(depth(r#"["[[[",{"]\"[":[1,{}]},[]]"#), 4);
        assert_eq!(depth("1"), 0);
    }

    #[test]
    fn only_deep_values_are_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_deep(&nested(MAX_DEPTH)));
        assert!(is_deep(&nested(MAX_DEPTH + 1)));
        assert!(!is_deep(&format!("[{}]", "[],".repeat(5000))));
    }
}
