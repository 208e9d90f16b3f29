//! The events that every server supports, on the namespace `/`.
//!
//! | event | arguments | the server |
//! |---|---|---|
//! | `echo` | a text | emits `echo` with it |
//! | `binary` | bytes | emits `binary` with them |
//! | `json` | a [`Report`] | reads it into its types, emits `json` with it |
//! | `ack` | a text | acknowledges with it |
//! | `join`, `leave` | a list of rooms | does so, acknowledges |
//! | `cast` | a room, a number, a text | emits `cast` with the text to the room, the given number of times |
//!
//! `binary` is `echo` under another name, so that typed servers need no type that is text or bytes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The interval of pings, which is so long that no heartbeat falls into a measurement.
pub const PING_INTERVAL: Duration = Duration::from_secs(240);

/// A document of about 64 KiB of JSON with [`Report::ENTRIES`]: numbers, texts, lists and objects, as an API would
/// return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub title: String,
    pub page: u32,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub id: u64,
    pub name: String,
    pub active: bool,
    pub balance: f64,
    pub position: Position,
    pub tags: Vec<String>,
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub latitude: f64,
    pub longitude: f64,
}

impl Report {
    pub const ENTRIES: u32 = 310;

    #[must_use]
    pub fn sample() -> Self {
        Self {
            title: "Accounts, by the date of their last change".to_owned(),
            page: 7,
            entries: (0..Self::ENTRIES).map(Entry::sample).collect(),
        }
    }
}

impl Entry {
    fn sample(number: u32) -> Self {
        let fraction = f64::from(number * 7919 % 10_007) / 10_007.0;
        Self {
            id: 0x0005_0000_0000 + u64::from(number) * 65_537,
            name: format!("Account number {number} of \"Müller & Søn\""),
            active: !number.is_multiple_of(3),
            balance: decimals(fraction * 1e5, 2),
            position: Position {
                latitude: decimals(fraction * 180.0 - 90.0, 6),
                longitude: decimals(fraction * 360.0 - 180.0, 6),
            },
            tags: vec!["customer".to_owned(), format!("group-{}", number % 17)],
            note: number
                .is_multiple_of(4)
                .then(|| "Asked to be called back.\nNot before noon.".to_owned()),
        }
    }
}

/// Rounds a number to few decimals, so that every parser reads the same number.
fn decimals(number: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_64_kib() {
        let json = serde_json::to_string(&Report::sample()).unwrap();
        assert!(
            (64_000..67_000).contains(&json.len()),
            "{} bytes",
            json.len()
        );
    }
}
