//! What a run can tell of itself at any moment.

use super::Rates;

/// What a run has done and what it sees.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Objects brought to the current key.
    pub rewrapped: u64,
    /// The values that were replaced, in bytes.
    pub bytes: u64,
    /// Compare-and-swaps that lost to another writer.
    pub conflicts: u64,
    /// Objects that somebody else deleted.
    pub vanished: u64,
    /// Objects that could not be brought to the current key, by the newest pass.
    pub failed: u64,
    /// How often fewer were let into flight.
    pub backed_off: u64,
    /// Writes that wait for an answer.
    pub in_flight: u32,
    /// Objects that this pass has yet to rewrite, as far as is known.
    pub left: u64,
    /// The speed of the last seconds.
    pub rates: Rates,
    /// The databases that are written to.
    pub databases: Vec<Database>,
}

/// The database of a store: of its members, the one with the least room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// The name of the store.
    pub store: String,
    /// What its data take, in bytes.
    pub in_use: u64,
    /// Where etcd refuses writes, in bytes; nothing where it has no quota or does not tell.
    pub quota: Option<u64>,
}
