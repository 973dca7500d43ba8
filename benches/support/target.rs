//! How a bench ends: what was wanted, and whether it is so.

/// The closing line of one target. A miss is printed and fails nothing: what a shared machine
/// measures must not decide whether a change is right.
pub(crate) fn report(target: &str, met: bool) {
    println!("target {target}: {}", if met { "met" } else { "missed" });
}
