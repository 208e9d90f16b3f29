//! The maximum number of packets in one response to a poll.

/// The maximum number of packets that python-engineio, the base of python-socketio's client, accepts; it closes the
/// session on a larger payload.
const PYTHON_ENGINEIO: usize = 16;

/// The rule that determines a session's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollPackets {
    /// The limit depends on the client's `User-Agent`.
    ByClient,
    /// The limit is equal for all clients; `None` is no limit.
    Max(Option<usize>),
}

impl PollPackets {
    /// Returns the limit for a client whose handshake had this `User-Agent`, if there is one.
    pub(crate) fn limit(self, user_agent: Option<&[u8]>) -> Option<usize> {
        match self {
            Self::Max(max) => max,
            Self::ByClient => user_agent.is_some_and(is_python).then_some(PYTHON_ENGINEIO),
        }
    }
}

/// Returns true if a product in a `User-Agent` belongs to Python. python-socketio names the library that makes its
/// requests: `python-requests/2.34.2` in `Client`, `Python/3.11 aiohttp/3.14.5` in `AsyncClient`.
fn is_python(user_agent: &[u8]) -> bool {
    let mut products = user_agent.split(|byte| matches!(byte, b' ' | b'(' | b';'));
    products.any(|product| {
        let name = product
            .split(|&byte| byte == b'/')
            .next()
            .unwrap_or(product);
        let python = name.get(..6).unwrap_or_default();
        python.eq_ignore_ascii_case(b"python") || name.eq_ignore_ascii_case(b"aiohttp")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_in_python_are_known_by_what_makes_their_requests() {
        let limit = |agent: &str| PollPackets::ByClient.limit(Some(agent.as_bytes()));
        for agent in [
            "python-requests/2.34.2",
            "Python/3.11 aiohttp/3.14.5",
            "aiohttp/3.8",
            "robot/1.0 (python-socketio; linux)",
        ] {
            assert_eq!(limit(agent), Some(16), "{agent}");
        }
        for agent in [
            "",
            "node-XMLHttpRequest",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "okhttp/4.12.0",
            "Dart/3.9 (dart:io)",
            "pythia/1.0",
        ] {
            assert_eq!(limit(agent), None, "{agent}");
        }
        assert_eq!(PollPackets::ByClient.limit(None), None);
    }

    #[test]
    fn an_option_is_for_all_clients() {
        let agent = Some(&b"python-requests/2.34.2"[..]);
        assert_eq!(PollPackets::Max(None).limit(agent), None);
        assert_eq!(PollPackets::Max(Some(3)).limit(None), Some(3));
    }
}
