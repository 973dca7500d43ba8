//! What a YAML 1.1 scalar means, to the letter of go-yaml v2 (`resolve.go`).

use super::{SyntaxError, Text, Value, compose::Scalar};
use crate::config::go;

const PREFIX: &str = "tag:yaml.org,2002:";

/// The value of a scalar, as the conversion to JSON leaves it.
pub(super) fn resolve(scalar: &Scalar, line: u32) -> Result<Value, SyntaxError> {
    Ok(match meaning(scalar, line)? {
        Meaning::Text => Value::String(scalar.text.clone()),
        Meaning::Binary(text) => Value::String(text),
        Meaning::Null => Value::Null,
        Meaning::Bool => Value::Bool,
        Meaning::Int(int) => Value::Number(int.to_string().into()),
        Meaning::Uint(int) => Value::Number(int.to_string().into()),
        Meaning::Float(float) if float.is_finite() => Value::Number(json_number(float).into()),
        Meaning::Float(_) => Value::Unsayable("JSON has no infinity and no NaN"),
    })
}

/// The name a scalar gives to an entry, and why JSON cannot have the entry.
///
/// A number or a bool keeps its own spelling, where Kubernetes prints it anew: neither is the name of
/// a field.
pub(super) fn resolve_key(
    scalar: &Scalar,
    line: u32,
) -> Result<(Text, Option<&'static str>), SyntaxError> {
    Ok(match meaning(scalar, line)? {
        Meaning::Binary(text) => (text, None),
        Meaning::Text | Meaning::Bool | Meaning::Int(_) | Meaning::Float(_) => {
            (scalar.text.clone(), None)
        }
        Meaning::Null | Meaning::Uint(_) => (
            scalar.text.clone(),
            Some("null and huge numbers cannot be keys"),
        ),
    })
}

/// Whether a key merges its value into the mapping.
pub(super) fn is_merge(scalar: &Scalar) -> bool {
    scalar.text.expose() == "<<" && (scalar.implicit || tag(scalar) == Some("merge"))
}

#[derive(Debug, PartialEq)]
enum Meaning {
    Text,
    Binary(Text),
    Null,
    Bool,
    Int(i64),
    Uint(u64),
    Float(f64),
}

fn tag(scalar: &Scalar) -> Option<&str> {
    scalar.tag.as_deref()?.strip_prefix(PREFIX)
}

fn meaning(scalar: &Scalar, line: u32) -> Result<Meaning, SyntaxError> {
    let text = scalar.text.expose();
    if scalar.tag.is_none() {
        return Ok(if scalar.implicit {
            plain(text)
        } else {
            Meaning::Text
        });
    }
    Ok(match (tag(scalar), plain(text)) {
        (Some("bool"), meaning @ Meaning::Bool)
        | (Some("int"), meaning @ (Meaning::Int(_) | Meaning::Uint(_)))
        | (Some("float"), meaning @ Meaning::Float(_))
        | (Some("null"), meaning @ Meaning::Null) => meaning,
        (Some("float"), Meaning::Int(int)) => Meaning::Float(int as f64),
        (Some("timestamp"), _) if go::time::is_timestamp(text) => Meaning::Text,
        (Some("bool" | "int" | "float" | "null" | "timestamp"), _) => {
            return Err(SyntaxError::new("a value is not what its tag says", line));
        }
        (Some("binary"), _) => {
            let bytes = go::base64::decode(text)
                .ok_or_else(|| SyntaxError::new("a !!binary value is not base64", line))?;
            Meaning::Binary(String::from_utf8_lossy(&bytes).into_owned().into())
        }
        _ => Meaning::Text,
    })
}

/// A scalar without quotes and tag. Dates stay text on their way to JSON, so they need no rule.
fn plain(text: &str) -> Meaning {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" | "n"
        | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Meaning::Bool
        }
        "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
        ".nan" | ".NaN" | ".NAN" => Meaning::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Meaning::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Meaning::Float(f64::NEG_INFINITY),
        _ => match text.as_bytes() {
            [b'.', ..] if separates_digits(text) => {
                float(&text.replace('_', "")).map_or(Meaning::Text, Meaning::Float)
            }
            [b'0'..=b'9' | b'+' | b'-', ..] => number(&text.replace('_', "")),
            _ => Meaning::Text,
        },
    }
}

/// Whether every underscore stands between digits, which Go wants where go-yaml leaves them in.
fn separates_digits(text: &str) -> bool {
    let mut parts = text.split('_').peekable();
    let mut first = true;
    while let Some(part) = parts.next() {
        let starts = first || part.starts_with(|char: char| char.is_ascii_digit());
        let ends = parts.peek().is_none() || part.ends_with(|char: char| char.is_ascii_digit());
        if !starts || !ends {
            return false;
        }
        first = false;
    }
    true
}

fn number(text: &str) -> Meaning {
    if let Some(int) = signed(text) {
        return Meaning::Int(int);
    }
    if let Some(int) = magnitude(text).and_then(|int| u64::try_from(int).ok()) {
        return Meaning::Uint(int);
    }
    if let Some(float) = float(text) {
        return Meaning::Float(float);
    }
    // A sign behind the prefix: go-yaml's own second look at binary numbers allows it.
    text.strip_prefix("0b")
        .and_then(|digits| i64::from_str_radix(digits, 2).ok())
        .map_or(Meaning::Text, Meaning::Int)
}

/// `strconv.ParseInt(text, 0, 64)`.
fn signed(text: &str) -> Option<i64> {
    let int = match text.strip_prefix('-') {
        Some(rest) => -magnitude(rest)?,
        None => magnitude(text.strip_prefix('+').unwrap_or(text))?,
    };
    int.try_into().ok()
}

/// `strconv.ParseUint(text, 0, 64)`, and a little beyond.
fn magnitude(text: &str) -> Option<i128> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    number.then(|| i128::from_str_radix(digits, radix).ok())?
}

fn float(text: &str) -> Option<f64> {
    let number = |byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(number) {
        return None;
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// Whole numbers as integers, which is all that the schema can tell apart.
fn json_number(float: f64) -> String {
    if float.abs() < 1e15 {
        float.to_string()
    } else {
        format!("{float:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_go_yaml_says() {
        use Meaning::{Bool, Float, Int, Null, Text, Uint};
        for (text, meaning) in [
            ("y", Bool),
            ("Y", Bool),
            ("yes", Bool),
            ("yEs", Text),
            ("on", Bool),
            ("OFF", Bool),
            ("n", Bool),
            ("True", Bool),
            ("~", Null),
            ("", Null),
            ("Null", Null),
            ("nULL", Text),
            ("none", Text),
            ("0", Int(0)),
            ("-0", Int(0)),
            ("+12", Int(12)),
            ("0755", Int(493)),
            ("0o17", Int(15)),
            ("08", Float(8.0)),
            ("0x1F", Int(31)),
            ("-0x1f", Int(-31)),
            ("0x-1", Text),
            ("0x", Text),
            ("0b101", Int(5)),
            ("0b-1", Int(-1)),
            ("-0b11", Int(-3)),
            ("1_000", Int(1000)),
            ("1__0", Int(10)),
            ("_1", Text),
            ("9223372036854775807", Int(i64::MAX)),
            ("-9223372036854775808", Int(i64::MIN)),
            ("9223372036854775808", Uint(1 << 63)),
            ("18446744073709551616", Float(18446744073709551616.0)),
            ("+9223372036854775808", Float(9223372036854775808.0)),
            ("1.", Float(1.0)),
            (".5", Float(0.5)),
            (".5_0", Float(0.5)),
            (".5_", Text),
            (".5__0", Text),
            ("._5", Text),
            ("1_0.5", Float(10.5)),
            ("1e3", Float(1000.0)),
            ("1e400", Text),
            ("-1.5E-3", Float(-0.0015)),
            ("1:30", Text),
            ("2026-11-23", Text),
            ("2026-11-23T10:00:00Z", Text),
            ("-.INF", Float(f64::NEG_INFINITY)),
            ("-", Text),
            (".", Text),
            ("1 2", Text),
            ("inf", Text),
            ("+nan", Text),
        ] {
            assert_eq!(plain(text), meaning, "{text:?}");
        }
        assert!(matches!(plain(".NaN"), Float(float) if float.is_nan()));
    }

    #[test]
    fn numbers_are_written_as_json_has_them() {
        for (float, text) in [(1000.0, "1000"), (1.5, "1.5"), (-0.0, "-0"), (1e20, "1e20")] {
            assert_eq!(json_number(float), text);
        }
    }
}
