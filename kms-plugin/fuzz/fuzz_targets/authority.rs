//! What a client says, through the authority front.
#![no_main]

use kms_plugin::socket::authority::Rewriter;
use libfuzzer_sys::fuzz_target;

#[path = "../../src/socket/authority/rewriter/tests/properties.rs"]
mod properties;

// The lengths of two pieces, over and over, and frames.
fuzz_target!(|input: &[u8]| {
    let (cuts, frames) = input.split_at(input.len().min(2));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    properties::check(&[preface, frames].concat(), cuts);
});
