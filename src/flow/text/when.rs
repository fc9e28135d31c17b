//! Times in text: with or without a year (`flow-formats.md` 2.1, 6.10).

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How far a record may seem to lie behind the time when its file was written.
const SLACK: SignedDuration = SignedDuration::from_hours(24);

/// When an input was written: what gives a year to times that have none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(pub(crate) Timestamp);

impl Clock {
    /// Reads a time as `hubble observe` prints it; UTC where no zone is written.
    pub(super) fn read(self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        if let Ok(time) = text.parse() {
            return Some(time);
        }
        let mut words = text.split_ascii_whitespace();
        let first = words.next()?;
        let Some(month) = MONTHS.iter().position(|&name| name == first) else { return date_only(text) };
        let day: i8 = words.next()?.parse().ok()?;
        let time: Time = words.next()?.parse().ok()?;
        let month = i8::try_from(month + 1).ok()?;
        let year = self.0.to_zoned(TimeZone::UTC).year();
        (year.saturating_sub(8)..=year).rev().find_map(|year| {
            let time = utc(Date::new(year, month, day).ok()?, time)?;
            (time.duration_since(self.0) <= SLACK).then_some(time)
        })
    }
}

fn date_only(text: &str) -> Option<Timestamp> {
    utc(text.parse().ok()?, Time::midnight())
}

fn utc(date: Date, time: Time) -> Option<Timestamp> {
    date.to_datetime(time).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_year_lies_before_its_file_was_written() {
        let clock = Clock("2026-03-05T00:00:00Z".parse().unwrap());
        let read = |text| clock.read(text).map(|time| time.to_string());
        assert_eq!(read("Mar  4 21:06:33.831").as_deref(), Some("2026-03-04T21:06:33.831Z"));
        assert_eq!(read("Mar 4 21:06:33.831").as_deref(), Some("2026-03-04T21:06:33.831Z"));
        assert_eq!(read("Dec 24 00:00:00.000").as_deref(), Some("2025-12-24T00:00:00Z"));
        assert_eq!(read("Feb 29 00:00:00.000").as_deref(), Some("2024-02-29T00:00:00Z"));
        assert_eq!(read("2026-01-02T03:04:05+01:00").as_deref(), Some("2026-01-02T02:04:05Z"));
        assert_eq!(read("2026-01-02").as_deref(), Some("2026-01-02T00:00:00Z"));
        assert_eq!(read("N/A"), None);
    }
}
