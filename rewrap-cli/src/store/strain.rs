use std::sync::atomic::Ordering;

use super::{Store, call::Caller, wire::etcdserverpb::ResponseHeader};

/// What the writes of this process have met: signs that the store has more to do than is good for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strain {
    /// How often a write was refused because there were too many requests, or was left without an
    /// answer, so that it was sent again or read back.
    pub setbacks: u64,
    /// The newest term of the leader that a write was answered in; 0 where none is known. A new leader
    /// has a new term.
    pub term: u64,
}

impl Strain {
    /// Whether something happened since `before`.
    pub fn is_worse_than(self, before: Self) -> bool {
        self.setbacks > before.setbacks || (before.term > 0 && self.term > before.term)
    }
}

impl Store {
    /// What the writes of this process have met until now.
    pub fn strain(&self) -> Strain {
        Strain {
            setbacks: self.caller.setbacks.load(Ordering::Relaxed),
            term: self.caller.term.load(Ordering::Relaxed),
        }
    }
}

impl Caller {
    pub(super) fn count_setback(&self) {
        self.setbacks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_term(&self, header: Option<&ResponseHeader>) {
        let term = header.map_or(0, |header| header.raft_term);
        self.term.fetch_max(term, Ordering::Relaxed);
    }
}
