//! Moments as protobuf's JSON mapping writes them: RFC 3339, narrower in letters and wider in digits.

use chrono::NaiveDate;
use prost_types::Timestamp;

/// Seconds since 1970 of 0001-01-01T00:00:00Z, and of the last second of 9999.
pub(super) const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// `2026-11-29T10:00:00.5+02:00`; what is wrong with it, for people.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, &'static str> {
    const FORM: &str = "year, month and day have 4, 2 and 2 digits, then come T and hours, minutes and seconds of 2 digits";
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = bytes.get(from..to)?;
        digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')))
    };
    let stands = |at: usize, what: u8| (bytes.get(at) == Some(&what)).then_some(());
    let read = || {
        let (year, ()) = (number(0, 4)?, stands(4, b'-')?);
        let (month, ()) = (number(5, 7)?, stands(7, b'-')?);
        let (day, ()) = (number(8, 10)?, stands(10, b'T')?);
        let (hour, ()) = (number(11, 13)?, stands(13, b':')?);
        let (minute, ()) = (number(14, 16)?, stands(16, b':')?);
        Some((year, month, day, hour, minute, number(17, 19)?))
    };
    let (year, month, day, hour, minute, second) = read().ok_or(FORM)?;
    let rest = &text[19..];
    let (nanos, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (digits, zone) = rest.split_at(rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len()));
            if !(1..=9).contains(&digits.len()) {
                return Err("a fraction of a second has 1 to 9 digits");
            }
            (format!("{digits:0<9}").parse().map_err(|_| FORM)?, zone)
        }
        None => (0_u32, rest),
    };
    let offset = offset(zone)?;
    if hour == 24 {
        return Err("24:00 is 00:00 of the day after");
    }
    if second == 60 {
        return Err("a leap second has no place here: the second before it, or the one after");
    }
    let date = NaiveDate::from_ymd_opt(year.cast_signed(), month, day).ok_or("there is no such day")?;
    let time = date.and_hms_nano_opt(hour, minute, second, nanos).ok_or("there is no such time of day")?;
    let seconds = time.and_utc().timestamp() - offset;
    if !SECONDS.contains(&seconds) {
        return Err("years are 0001 to 9999, in UTC");
    }
    Ok(Timestamp { seconds, nanos: nanos.cast_signed() })
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Result<i64, &'static str> {
    const FORM: &str = "the zone is Z, or hours and minutes such as +02:00";
    let bytes = zone.as_bytes();
    let sign = match bytes {
        b"Z" => return Ok(0),
        [] => return Err("it has no zone: Z, or hours and minutes such as +02:00"),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return Err(FORM),
    };
    let two = |at: usize| {
        let digits = &bytes[at..at + 2];
        digits.iter().all(u8::is_ascii_digit).then(|| i64::from(digits[0] - b'0') * 10 + i64::from(digits[1] - b'0'))
    };
    match (two(1), two(4)) {
        (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => Ok(sign * (hours * 3_600 + minutes * 60)),
        _ => Err(FORM),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        /// Two libraries agree: what is read is what chrono reads, and what chrono does not read is not read.
        #[test]
        fn a_moment_is_the_one_that_chrono_reads(seconds in SECONDS, nanos in 0..1_000_000_000_u32, east in -1_439..1_440_i32) {
            let utc = chrono::DateTime::from_timestamp(seconds, nanos).expect("in range");
            let there = utc.with_timezone(&chrono::FixedOffset::east_opt(east * 60).expect("less than a day"));
            let text = there.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
            if text.len() == "2026-11-29T10:00:00.000000000+02:00".len() || text.ends_with('Z') {
                prop_assert_eq!(timestamp(&text), Ok(Timestamp { seconds, nanos: nanos.cast_signed() }), "{}", text);
            }
        }

        #[test]
        fn any_text_is_a_moment_or_none(text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,11})?(Z|z|[-+][0-2][0-9]:?[0-6][0-9]|)|\\PC{0,40}") {
            if let Ok(read) = timestamp(&text) {
                let same = chrono::DateTime::parse_from_rfc3339(&text).expect("narrower than RFC 3339");
                prop_assert_eq!((read.seconds, read.nanos), (same.timestamp(), same.timestamp_subsec_nanos().cast_signed()));
            }
        }
    }
}
