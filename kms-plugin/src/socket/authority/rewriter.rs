use std::mem;

use super::{
    Unclear,
    frames::{BlockFrames, Next},
    hpack::Hpack,
};

/// What a client says first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bytes of one connection on their way from a client to a server; no I/O.
///
/// Needs a server with the limits that HTTP/2 begins with: frames of 16 KiB, and 4 KiB for HPACK's
/// dynamic table. Holds back at most one header block, which must fit into 16 KiB together with its frames, and
/// passes everything on as it is from the first thing on that it does not understand.
#[derive(Debug)]
pub struct Rewriter {
    state: State,
    hpack: Hpack,
    /// The beginning of a frame or of the frames of a header block, held back.
    held: Vec<u8>,
    /// How long [`Self::held`] must be before more can be told: longer than it is.
    needed: usize,
}

#[derive(Debug)]
enum State {
    /// This is still to come of the preface.
    Preface(&'static [u8]),
    /// So many bytes pass; then a frame begins.
    Passing(usize),
    /// Everything passes.
    Unclear,
}

impl Default for Rewriter {
    /// For a connection on which nothing was said yet.
    fn default() -> Self {
        Self {
            state: State::Preface(PREFACE),
            hpack: Hpack::new(),
            held: Vec::new(),
            needed: 0,
        }
    }
}

impl Rewriter {
    /// Takes the next bytes. What goes on in their place: as many of them as the answer says, as they are,
    /// and then what is appended to `rest`; if `rest` is not empty when it is given, only that.
    pub fn filter(&mut self, mut input: &[u8], rest: &mut Vec<u8>) -> usize {
        while !self.held.is_empty() && !input.is_empty() {
            let missing = self.needed - self.held.len();
            let (now, later) = input.split_at(missing.min(input.len()));
            self.held.extend_from_slice(now);
            input = later;
            if self.held.len() == self.needed {
                let held = mem::take(&mut self.held);
                let mut replaced = Vec::new();
                let kept = self.walk(&held, &mut replaced);
                rest.extend_from_slice(&held[..kept]);
                rest.append(&mut replaced);
            }
        }
        self.walk(input, rest)
    }

    /// Appends what is held back to `rest`: nothing follows it.
    pub fn finish(&mut self, rest: &mut Vec<u8>) {
        self.state = State::Unclear;
        rest.append(&mut self.held);
    }

    /// Like [`Self::filter`], when nothing is held back.
    fn walk(&mut self, mut input: &[u8], rest: &mut Vec<u8>) -> usize {
        let mut kept = 0;
        while !input.is_empty() {
            let len = match self.state {
                State::Preface(left) => {
                    let (now, later) = left.split_at(left.len().min(input.len()));
                    self.state = match later {
                        _ if !input.starts_with(now) => State::Unclear,
                        [] => State::Passing(0),
                        _ => State::Preface(later),
                    };
                    now.len()
                }
                State::Passing(0) => {
                    match self.judge(input) {
                        Ok(Verdict::Pass(len)) => self.state = State::Passing(len),
                        Ok(Verdict::Replace(len, frames)) => {
                            rest.extend_from_slice(&frames);
                            input = &input[len..];
                        }
                        Ok(Verdict::Hold(needed)) => {
                            self.held.extend_from_slice(input);
                            self.needed = needed;
                            break;
                        }
                        Err(Unclear) => self.state = State::Unclear,
                    }
                    continue;
                }
                State::Passing(left) => {
                    let len = left.min(input.len());
                    self.state = State::Passing(left - len);
                    len
                }
                State::Unclear => input.len(),
            };
            let (passed, later) = input.split_at(len);
            input = later;
            if rest.is_empty() {
                kept += len;
            } else {
                rest.extend_from_slice(passed);
            }
        }
        kept
    }

    /// Looks at bytes that begin with a frame.
    fn judge(&mut self, bytes: &[u8]) -> Result<Verdict, Unclear> {
        Ok(match Next::of(bytes)? {
            Next::Other(len) => Verdict::Pass(len),
            Next::Need(len) => Verdict::Hold(len),
            Next::Block(len) => {
                let frames = BlockFrames::of(&bytes[..len])?;
                match self.hpack.mend(&frames.block)? {
                    None => Verdict::Pass(len),
                    Some(block) => Verdict::Replace(len, frames.around(&block)),
                }
            }
        })
    }
}

/// What becomes of the bytes at the beginning of a frame.
enum Verdict {
    /// So many pass.
    Pass(usize),
    /// So many are replaced by these.
    Replace(usize, Vec<u8>),
    /// So many are needed to tell: more than there are.
    Hold(usize),
}

#[cfg(test)]
mod tests;
