//! Shared with the fuzz target.

use super::Rewriter;

/// What holds of every input, whoever sends it: nothing depends on where it is cut, of what comes out
/// nothing would be rewritten (it is valid now, or is not understood), and little is added. Gives
/// back what comes out.
///
/// `cuts` are lengths of pieces, over and over.
pub(crate) fn check(input: &[u8], cuts: &[u8]) -> Vec<u8> {
    let output = through(input, &[]);
    assert_eq!(through(input, cuts), output);
    let mut rewritten = Vec::new();
    Rewriter::default().filter(&output, &mut rewritten);
    assert_eq!(rewritten, b"");
    assert!(output.len() <= 2 * input.len());
    output
}

/// What comes out for an input in pieces of these lengths, over and over; 0 is all the rest.
fn through(mut input: &[u8], cuts: &[u8]) -> Vec<u8> {
    let mut rewriter = Rewriter::default();
    let mut output = Vec::new();
    let mut lengths = cuts.iter().cycle();
    while !input.is_empty() {
        let len = match lengths.next() {
            None | Some(0) => input.len(),
            Some(len) => usize::from(*len).min(input.len()),
        };
        let (piece, later) = input.split_at(len);
        let mut rest = Vec::new();
        let kept = rewriter.filter(piece, &mut rest);
        output.extend_from_slice(&piece[..kept]);
        output.extend(rest);
        input = later;
    }
    rewriter.finish(&mut output);
    output
}
