//! `time.ParseDuration`.

/// Nanoseconds of a duration such as `3s`, `1m30s`, `-1.5h` or `0`; None for what Go refuses.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut rest = rest;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (term, behind) = term(rest)?;
        total = total.checked_add(term).filter(|total| *total <= 1 << 63)?;
        rest = behind;
    }
    match negative {
        true => Some((total as i64).wrapping_neg()),
        false => i64::try_from(total).ok(),
    }
}

/// One number with its unit, and what follows.
fn term(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest
        .find(|char: char| char == '.' || char.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let whole = match whole {
        "" => 0,
        whole => whole
            .parse::<u64>()
            .ok()
            .filter(|whole| *whole <= 1 << 63)?,
    };
    let whole = whole.checked_mul(unit).filter(|whole| *whole <= 1 << 63)?;
    let total = whole + scale(fraction, unit);
    (total <= 1 << 63).then_some((total, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|char: char| !char.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// Digits behind the point as a part of a unit, cut down to what fits, in floating point as Go does.
fn scale(fraction: &str, unit: u64) -> u64 {
    let mut value: u64 = 0;
    let mut scale = 1.0;
    for digit in fraction.bytes().map(|byte| u64::from(byte - b'0')) {
        match value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
        {
            Some(next) if next <= 1 << 63 && value <= (1 << 63) / 10 => value = next,
            _ => break,
        }
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_go_s() {
        const SECOND: i64 = 1_000_000_000;
        for (text, nanos) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("3s", Some(3 * SECOND)),
            ("+3s", Some(3 * SECOND)),
            ("-3s", Some(-3 * SECOND)),
            ("1m30s", Some(90 * SECOND)),
            ("100ms", Some(SECOND / 10)),
            ("1.5h", Some(5400 * SECOND)),
            (".5s", Some(SECOND / 2)),
            ("1.s", Some(SECOND)),
            ("1\u{b5}s", Some(1000)),
            ("1\u{3bc}s", Some(1000)),
            ("0.9999999999999999999999s", Some(SECOND)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("9223372036854775808ns", None),
            ("2562048h", None),
            ("", None),
            ("-", None),
            ("3", None),
            (".s", None),
            ("s", None),
            ("3 s", None),
            ("3S", None),
            ("1d", None),
            ("1s-1s", None),
        ] {
            assert_eq!(super::parse(text), nanos, "{text:?}");
        }
    }
}
