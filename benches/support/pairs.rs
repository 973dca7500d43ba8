//! Measuring two things against each other on a machine that does other work too: in turn, pair by
//! pair, so that whatever slows one of them slows the other, and only ratios are claimed.

use std::fmt;

/// How often one measure is the other, over all pairs.
pub(crate) struct Ratio {
    pairs: usize,
    pub(crate) median: f64,
    least: f64,
    most: f64,
    /// The median of our side alone.
    pub(crate) ours: f64,
    /// The median of the other side alone.
    pub(crate) bare: f64,
}

impl Ratio {
    /// Of at least one pair `(ours, bare)`.
    pub(crate) fn of(pairs: &[(f64, f64)]) -> Self {
        let ratios = sorted(pairs.iter().map(|(ours, bare)| ours / bare));
        let middle = pairs.len() / 2;
        Self {
            pairs: pairs.len(),
            median: ratios[middle],
            least: ratios[0],
            most: ratios[pairs.len() - 1],
            ours: sorted(pairs.iter().map(|(ours, _)| *ours))[middle],
            bare: sorted(pairs.iter().map(|(_, bare)| *bare))[middle],
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2}x (median of {} pairs, {:.2}..{:.2})",
            self.median, self.pairs, self.least, self.most
        )
    }
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}
