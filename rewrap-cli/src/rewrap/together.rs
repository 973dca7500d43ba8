//! Many objects in one transaction, where no apiserver lives.

use futures_util::future::try_join_all;

use super::{
    OpenedPage, Rewrap, RunError,
    one::{Attempt, Fate, Verdict, seal},
    ramp::{Turn, Written},
};
use crate::{
    area::Area,
    stopped::Ours,
    store::{Swap, Together},
    stored::Rule,
};

/// What etcd takes in one transaction unless it is told otherwise (`--max-txn-ops`).
pub(super) const MOST: usize = 128;

/// What a transaction may come to, in bytes of keys and values: two thirds of what etcd takes
/// (`--max-request-bytes`, 1.5 MiB by default), for every key is in it twice, and each value grows a
/// little.
const MOST_BYTES: usize = 1 << 20;

/// Cuts a page into what goes into one transaction; an object that is too large goes by itself.
pub(super) fn cut(page: OpenedPage) -> Vec<OpenedPage> {
    let mut cuts = Vec::new();
    let (mut cut, mut bytes) = (Vec::new(), 0);
    for (record, outcome) in page {
        let size = record.weight();
        if cut.len() == MOST || bytes + size > MOST_BYTES && !cut.is_empty() {
            cuts.push(std::mem::take(&mut cut));
            bytes = 0;
        }
        bytes += size;
        cut.push((record, outcome));
    }
    cuts.push(cut);
    cuts
}

impl Rewrap<'_> {
    /// Brings all these to the current key in one transaction; where etcd does not take it, or one of
    /// them has changed, each by itself.
    pub(super) async fn together(
        &self,
        area: &Area,
        rule: &Rule,
        ours: &Ours,
        objects: OpenedPage,
    ) -> Vec<Result<Fate, RunError>> {
        let mut fates = Vec::with_capacity(objects.len());
        let (mut replaced, mut swaps) = (Vec::new(), Vec::new());
        for (record, outcome) in objects {
            let stale = match self.judge(area, &record, outcome, 0) {
                Verdict::Replace(stale) => stale,
                Verdict::Skip(fate) => {
                    fates.push(Ok(fate));
                    continue;
                }
            };
            let lengths = [record.key.len(), record.value.len()];
            let room = &self.options.room;
            if let Err(full) = room.take(area.store, lengths, || self.may_begin()).await {
                fates.push(Err(full.into()));
                return fates;
            }
            if !self.begin() {
                fates.push(Ok(Fate::NotBegun));
                continue;
            }
            let dek = match self.write_dek(rule).await {
                Ok(dek) => dek,
                Err(error) => {
                    fates.push(Err(error));
                    return fates;
                }
            };
            match seal(rule, &record.key, &stale, dek.as_deref()) {
                Ok(value) => {
                    swaps.push(Swap {
                        key: record.key.clone(),
                        mod_revision: record.mod_revision,
                        value: value.into(),
                        lease: record.lease,
                    });
                    let keys = [stale.written_with, rule.target(dek.as_deref())];
                    replaced.push((record, keys));
                }
                Err(error) => fates.push(Ok(Fate::Failed {
                    key: record.key.to_vec(),
                    error,
                })),
            }
        }
        if swaps.is_empty() {
            return fates;
        }
        let turn = match self.turn().await {
            Turn::Over => {
                fates.extend(replaced.iter().map(|_| Ok(Fate::NotBegun)));
                return fates;
            }
            turn => turn,
        };
        let size = |swap: &Swap| swap.key.len() + swap.value.len();
        let bytes = swaps.iter().map(size).sum();
        let store = &self.session.stores[area.store].store;
        let Some(permit) = self.permit(bytes).await else {
            fates.extend(replaced.iter().map(|_| Ok(Fate::NotBegun)));
            return fates;
        };
        for swap in &swaps {
            ours.expect(&swap.key, &swap.value);
        }
        let trail = &self.options.trail;
        let kept = replaced.iter().zip(&swaps);
        let kept =
            kept.map(|((record, [from, to]), swap)| trail.before(record, [from, to], &swap.value));
        if let Err(error) = try_join_all(kept).await {
            fates.push(Err(error.into()));
            return fates;
        }
        let sent = permit.sent();
        let put = store.put_together(&swaps).await;
        permit.answered(sent, store.strain());
        match put {
            Ok(Together::Done { revision }) => {
                self.state.mark(area.store, revision);
                fates.extend(replaced.iter().map(|(record, _)| {
                    Ok(Fate::Rewrapped {
                        conflicts: 0,
                        bytes: record.value.len() as u64,
                    })
                }));
                let told = replaced.iter().map(|(record, [from, to])| {
                    trail.after(record, [from, to], revision, "rewritten")
                });
                if let Err(error) = try_join_all(told).await {
                    fates.push(Err(error.into()));
                }
                // The first stands for all.
                let written = Written {
                    key: &swaps[0].key,
                    value: swaps[0].value.clone(),
                    revision,
                };
                if let Err(error) = self.read_back(turn, area, rule, written).await {
                    fates.push(Err(error));
                }
            }
            Ok(Together::Apart) => {
                // Each waits for a turn of its own.
                drop(turn);
                for (record, _) in replaced {
                    ours.forget(&record.key);
                    let keys = &self.session.keys;
                    let outcome = keys.open(rule, &record.key, &record.value).await;
                    let attempt = Attempt::Last { begun: true };
                    let fate = self.one(area, rule, record, outcome, attempt).await;
                    let failed = fate.is_err();
                    fates.push(fate);
                    if failed {
                        break;
                    }
                }
            }
            Err(error) => fates.push(Err(error.into())),
        }
        fates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::Record, stored::OpenError};

    fn page(sizes: &[usize]) -> OpenedPage {
        let record = |size: &usize| Record {
            key: "".into(),
            value: vec![0; *size].into(),
            mod_revision: 1,
            create_revision: 1,
            lease: 0,
        };
        let objects = sizes.iter().map(record);
        objects
            .map(|record| (record, Err(OpenError::Encrypted)))
            .collect()
    }

    #[test]
    fn a_transaction_is_neither_too_many_nor_too_large() {
        let lengths =
            |sizes: &[usize]| -> Vec<_> { cut(page(sizes)).iter().map(Vec::len).collect() };
        assert_eq!(lengths(&[10; 300]), [128, 128, 44]);
        assert_eq!(lengths(&[400 << 10; 5]), [2, 2, 1]);
        assert_eq!(lengths(&[1 << 21, 1, 1 << 20, 1]), [1, 1, 1, 1]);
    }
}
