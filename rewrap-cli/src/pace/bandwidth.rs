//! Bytes per second as a person writes them.

use std::{fmt, num::NonZeroU64, str::FromStr};

/// The suffixes of Kubernetes' quantities (`k8s.io/apimachinery/pkg/api/resource/suffix.go`), and the
/// `K` that everybody writes for `k`.
const SUFFIXES: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("k", 1_000),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("", 1),
];

/// Bytes per second: `16Mi`, `500K`, `2000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth(NonZeroU64);

impl Bandwidth {
    /// In bytes per second.
    pub fn bytes(self) -> u64 {
        self.0.get()
    }
}

impl FromStr for Bandwidth {
    type Err = BandwidthError;

    fn from_str(text: &str) -> Result<Self, BandwidthError> {
        let (number, unit) = SUFFIXES
            .iter()
            .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
            .ok_or(BandwidthError)?;
        // `parse` would take a sign.
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BandwidthError);
        }
        let number: u64 = number.parse().map_err(|_| BandwidthError)?;
        number
            .checked_mul(*unit)
            .and_then(NonZeroU64::new)
            .map(Self)
            .ok_or(BandwidthError)
    }
}

/// In the largest unit that leaves a whole number.
impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SUFFIXES
            .iter()
            .filter(|(_, unit)| self.bytes().is_multiple_of(*unit));
        match whole.max_by_key(|(_, unit)| *unit) {
            Some((suffix, unit)) => write!(f, "{}{suffix}", self.bytes() / unit),
            None => write!(f, "{}", self.bytes()),
        }
    }
}

/// No number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a whole number of bytes per second above 0; write it as `16Mi`, `16M`, `500Ki` or `500000`"
)]
pub struct BandwidthError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_those_of_quantities() {
        for (text, bytes, shown) in [
            ("16Mi", 16 << 20, "16Mi"),
            ("16M", 16_000_000, "16M"),
            ("500k", 500_000, "500K"),
            ("500K", 500_000, "500K"),
            ("512Ki", 512 << 10, "512Ki"),
            ("1024Ki", 1 << 20, "1Mi"),
            ("2Gi", 2 << 30, "2Gi"),
            ("1G", 1_000_000_000, "1G"),
            ("7", 7, "7"),
        ] {
            let bandwidth: Bandwidth = text.parse().unwrap();
            assert_eq!(bandwidth.bytes(), bytes, "{text}");
            assert_eq!(bandwidth.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_number_of_bytes_is_refused() {
        for text in [
            "",
            "Mi",
            "0",
            "0Mi",
            "-1",
            "+1",
            "1.5M",
            "1MiB",
            "1 M",
            "1m",
            "99999999999Gi",
            "1TB",
        ] {
            assert_eq!(text.parse::<Bandwidth>(), Err(BandwidthError), "{text}");
        }
    }
}
