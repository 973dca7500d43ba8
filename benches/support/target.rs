//! How a bench ends: what was wanted, what was measured, and whether that is enough.

use std::{env, fmt::Debug, fs::OpenOptions, io::Write as _, ops::RangeBounds};

/// The closing line of one target, and a line of the history in the file that
/// `RINGFENCE_BENCH_HISTORY` names: `RINGFENCE_BENCH_LABEL` (when and what), the target, what was
/// wanted, what was measured and the verdict, between tabs. A miss fails nothing: what a shared
/// machine measures must not decide whether a change is right.
pub(crate) fn report(target: &str, measured: f64, wanted: impl RangeBounds<f64> + Debug) {
    let verdict = if wanted.contains(&measured) {
        "met"
    } else {
        "missed"
    };
    println!("target {target}: {measured:.3} of {wanted:?}: {verdict}");
    let Some(path) = env::var_os("RINGFENCE_BENCH_HISTORY") else {
        return;
    };
    let label = env::var("RINGFENCE_BENCH_LABEL").unwrap_or_default();
    let line = format!("{label}\t{target}\t{wanted:?}\t{measured:.3}\t{verdict}\n");
    let file = OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("warning: {}: {error}", path.display());
    }
}
