//! The ids of entries.

use std::fmt;

use proto::cluster::Position;

/// The id of an entry: its time, and its number among those of that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId {
    pub(crate) time: u64,
    pub(crate) number: u64,
}

impl EntryId {
    /// Returns the position of the entry.
    pub(crate) fn position(self) -> Position {
        Position(u128::from(self.time) << 64 | u128::from(self.number))
    }

    /// Returns the lowest id after this one. Ranges have no exclusive bounds before Redis 6.2.
    pub(crate) fn next(self) -> Self {
        Self::at(self.position().after())
    }

    /// Returns the id of the entry at a position.
    pub(crate) fn at(Position(position): Position) -> Self {
        let number = position & u128::from(u64::MAX);
        Self {
            time: u64::try_from(position >> 64).unwrap_or(u64::MAX),
            number: u64::try_from(number).unwrap_or(u64::MAX),
        }
    }

    /// Parses an id as Redis writes it: two numbers with a hyphen in between.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let (time, number) = id.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let [time, number] = [time, number].map(|text| digits(text).then(|| text.parse().ok()));
        Some(Self {
            time: time??,
            number: number??,
        })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_two_numbers() {
        let id = EntryId::parse("1795421105160-3").unwrap();
        assert_eq!(
            (id.time, id.number, &*id.to_string()),
            (1_795_421_105_160, 3, "1795421105160-3")
        );
        assert_eq!(EntryId::at(id.position()), id);
        assert!(EntryId::parse("2-0") > EntryId::parse("1-9"));
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "+1-1",
            "1-1-1",
            "1- 1",
            "99999999999999999999-0",
            "$",
        ] {
            assert_eq!(EntryId::parse(bad), None, "{bad}");
        }
    }
}
