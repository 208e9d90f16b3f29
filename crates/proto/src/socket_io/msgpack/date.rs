//! Dates in the format of `JSON.stringify`.

use std::fmt::Write;

/// The maximum distance of a JavaScript date from 1970, in milliseconds.
const FURTHEST: i64 = 8_640_000_000_000_000;
const DAY: i64 = 86_400_000;

/// Returns the ISO text of a time in milliseconds since 1970, or `None` if JavaScript has no such date.
pub(super) fn iso(millis: i64) -> Option<String> {
    if !(-FURTHEST..=FURTHEST).contains(&millis) {
        return None;
    }
    let (year, month, day) = civil(millis.div_euclid(DAY));
    let time = millis.rem_euclid(DAY);
    let (hours, minutes) = (time / 3_600_000, time / 60_000 % 60);
    let (seconds, millis) = (time / 1000 % 60, time % 1000);
    let mut text = String::with_capacity(27);
    let written = match year {
        0..=9999 => write!(text, "{year:04}"),
        _ => write!(text, "{year:+07}"),
    };
    written.ok()?;
    write!(
        text,
        "-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"
    )
    .ok()?;
    Some(text)
}

/// Converts days since 1970 to year, month and day. The calculation uses eras of 400 years, which all have the same
/// number of days, and years that begin in March, so that the leap day is the last day of a year.
const fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = year + era * 400;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected texts are Node's.
    #[test]
    fn a_date_is_written_as_javascript_writes_it() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_764_192_896_789, "2025-11-26T21:34:56.789Z"),
            (4_107_456_000_000, "2100-02-28T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (FURTHEST, "+275760-09-13T00:00:00.000Z"),
            (-FURTHEST, "-271821-04-20T00:00:00.000Z"),
        ] {
            assert_eq!(iso(millis).as_deref(), Some(text));
        }
        assert_eq!(iso(FURTHEST + 1), None);
        assert_eq!(iso(-FURTHEST - 1), None);
        assert_eq!(iso(i64::MIN), None);
    }
}
