//! How much a database grows by what a run writes.
//!
//! Every write is a new revision beside the old one until the old ones are compacted. bbolt keeps
//! several small items in a page of 4096 bytes, and gives a large one pages of its own, filled by
//! half on average. The formula fits what one member of etcd grew by per rewritten object, measured
//! with values of 512 bytes to 8 KiB.

/// What an item has besides key and value: the revision as its key, the fields of the record, and
/// its part of the page's table.
const ITEM: u64 = 85;

const PAGE: u64 = 4096;

/// A page without its header.
const ROOM: u64 = 4080;

/// etcd's quota where nobody set one (`--quota-backend-bytes`).
pub const DEFAULT_QUOTA: u64 = 2 << 30;

/// What of a quota a run uses: others write too, and etcd counts pages, not bytes.
pub fn usable(quota: u64) -> u64 {
    quota / 10 * 8
}

/// Bytes by which etcd's database grows for one write of a value under a key of these lengths.
pub fn per_write(key: u64, value: u64) -> u64 {
    let item = key + value + ITEM;
    match ROOM / item {
        0 | 1 => (2 * item).div_ceil(PAGE) * (PAGE / 2),
        items => PAGE / items,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_gives_what_was_measured() {
        for (value, measured) in [
            (512, 690),
            (1024, 1378),
            (2048, 4115),
            (3000, 4107),
            (4096, 6162),
            (8192, 10_258),
        ] {
            let predicted = per_write(40, value);
            assert!(
                predicted.abs_diff(measured) * 50 < measured,
                "{value}: {predicted} instead of {measured}"
            );
        }
    }
}
