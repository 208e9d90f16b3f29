//! The negotiation of the extension in the handshake (section 7.1).

use super::Compression;

/// The extension's name.
const NAME: &str = "permessage-deflate";

/// The parameters that both sides have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub(super) server_takeover: bool,
    pub(super) client_takeover: bool,
    pub(super) server_window_bits: u8,
    pub(super) client_window_bits: u8,
    pub(super) level: u32,
    pub(super) threshold: usize,
    pub(super) max_ratio: u32,
}

/// Accepts the first acceptable offer of a client among the values of its `Sec-WebSocket-Extensions` headers. Returns
/// the agreed parameters and the value of the response header. An unknown or invalid offer is skipped.
pub fn negotiate<'h>(
    offers: impl IntoIterator<Item = &'h str>,
    wanted: &Compression,
) -> Option<(Agreed, String)> {
    let all = offers.into_iter().flat_map(|header| header.split(','));
    let mut parsed = all.filter_map(Offer::parse);
    parsed.find_map(|offer| offer.accept(wanted))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Offer {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_window_bits: Option<u8>,
    /// The parameter, if it is present, and its value, if it has one.
    client_window_bits: Option<Option<u8>>,
}

impl Offer {
    /// Parses an offer. Returns `None` if it is another extension, or has a parameter that is unknown, repeated or out
    /// of range.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        if parts.next() != Some(NAME) {
            return None;
        }
        let mut offer = Self::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(unquote(value.trim_start()))),
                None => (part, None),
            };
            let fresh = match (name, value) {
                ("server_no_context_takeover", None) => {
                    !std::mem::replace(&mut offer.server_no_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    !std::mem::replace(&mut offer.client_no_takeover, true)
                }
                ("server_max_window_bits", Some(value)) => {
                    offer.server_window_bits.replace(bits(value)?).is_none()
                }
                ("client_max_window_bits", value) => {
                    let value = value.map(bits);
                    if value == Some(None) {
                        return None;
                    }
                    offer.client_window_bits.replace(value.flatten()).is_none()
                }
                _ => false,
            };
            if !fresh {
                return None;
            }
        }
        Some(offer)
    }

    fn accept(&self, wanted: &Compression) -> Option<(Agreed, String)> {
        let server_window_bits = wanted
            .server_window_bits
            .min(self.server_window_bits.unwrap_or(15));
        // No implementation has a compressor for windows of 256 bytes.
        if server_window_bits < 9 {
            return None;
        }
        let client_window_bits = match self.client_window_bits {
            Some(offered) => wanted.client_window_bits.min(offered.unwrap_or(15)),
            None => 15,
        };
        let agreed = Agreed {
            server_takeover: wanted.server_takeover && !self.server_no_takeover,
            client_takeover: wanted.client_takeover && !self.client_no_takeover,
            server_window_bits,
            client_window_bits,
            level: wanted.level,
            threshold: wanted.threshold,
            max_ratio: wanted.max_ratio,
        };
        let mut answer = NAME.to_owned();
        if !agreed.server_takeover {
            answer.push_str("; server_no_context_takeover");
        }
        if !agreed.client_takeover {
            answer.push_str("; client_no_context_takeover");
        }
        if server_window_bits < 15 || self.server_window_bits.is_some() {
            answer.push_str(&format!("; server_max_window_bits={server_window_bits}"));
        }
        if client_window_bits < 15 {
            answer.push_str(&format!("; client_max_window_bits={client_window_bits}"));
        }
        Some((agreed, answer))
    }
}

fn unquote(value: &str) -> &str {
    let inner = value.strip_prefix('"');
    inner
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(value)
}

/// Parses a number from 8 to 15, without a leading zero.
fn bits(value: &str) -> Option<u8> {
    let plain = !value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit());
    let bits = value.parse().ok().filter(|_| plain)?;
    (8..=15).contains(&bits).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(offer: &str, wanted: &Compression) -> Option<String> {
        negotiate([offer], wanted).map(|(_, answer)| answer)
    }

    #[test]
    fn an_offer_is_answered_according_to_the_options() {
        let takeover = Compression::new()
            .server_context_takeover()
            .client_context_takeover();
        let narrow = takeover
            .server_max_window_bits(10)
            .client_max_window_bits(11);
        let none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for (offer, wanted, expected) in [
            ("permessage-deflate", Compression::new(), none),
            (
                "permessage-deflate; client_max_window_bits",
                Compression::new(),
                none,
            ),
            ("permessage-deflate", takeover, "permessage-deflate"),
            (
                "permessage-deflate; server_no_context_takeover",
                takeover,
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                "permessage-deflate;client_no_context_takeover",
                takeover,
                "permessage-deflate; client_no_context_takeover",
            ),
            (
                "permessage-deflate; server_max_window_bits=\"9\"; client_max_window_bits = 12",
                takeover,
                "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12",
            ),
            (
                "permessage-deflate",
                narrow,
                "permessage-deflate; server_max_window_bits=10",
            ),
            (
                "permessage-deflate; client_max_window_bits",
                narrow,
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
            ),
            (
                "permessage-deflate; server_max_window_bits=15",
                takeover,
                "permessage-deflate; server_max_window_bits=15",
            ),
            (
                "x-webkit-deflate-frame, permessage-deflate; x=1, permessage-deflate",
                takeover,
                "permessage-deflate",
            ),
        ] {
            assert_eq!(answer(offer, &wanted).as_deref(), Some(expected), "{offer}");
        }
    }

    #[test]
    fn an_offer_that_is_not_understood_is_passed_over() {
        for offer in [
            "",
            "permessage-deflate2",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
            "permessage-deflate; unknown",
            "permessage-deflate;",
        ] {
            assert_eq!(answer(offer, &Compression::new()), None, "{offer}");
        }
        let both = ["permessage-deflate; unknown", "permessage-deflate"];
        assert!(negotiate(both, &Compression::new()).is_some());
    }
}
