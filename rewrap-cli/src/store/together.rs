use prost::bytes::Bytes;
use tonic::Code;

use super::{
    Ask, Causes, Record, Store, StoreError,
    call::Fault,
    put::{has_revision, is_at},
    revision,
    wire::etcdserverpb::{
        PutRequest, RequestOp, TxnRequest, kv_client::KvClient, request_op::Request as Op,
    },
};

/// A value to be put where the key still has a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The key.
    pub key: Bytes,
    /// The revision that it must still have.
    pub mod_revision: i64,
    /// The new value.
    pub value: Bytes,
    /// The lease that it goes on with; 0 is none.
    pub lease: i64,
}

/// How the swaps of one transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    /// All values are stored.
    Done {
        /// The revision that they share.
        revision: i64,
    },
    /// None is known to be stored: somebody else wrote one of the keys, or etcd does not take them
    /// together. Each must be put by itself.
    Apart,
}

impl Store {
    /// Puts all these values, of which no two are of one key, or none of them, in one transaction that
    /// etcd gives one revision. kube-apiserver knows no such shape, and kine takes none: for a store
    /// without a live apiserver only.
    ///
    /// Where an answer is lost the first key is read back, as in
    /// [`compare_and_put`](Self::compare_and_put): it stands for all. What was sent again may find that
    /// the first one has come after all.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`], [`StoreError::Denied`]: nothing was written.
    /// [`StoreError::Unreachable`]: all may have been.
    pub async fn put_together(&self, swaps: &[Swap]) -> Result<Together, StoreError> {
        let Some(first) = swaps.first() else {
            return Ok(Together::Apart);
        };
        let ask = Ask::Write {
            key: first.key[..].into(),
            size: swaps.iter().map(|swap| swap.value.len()).sum(),
            lease: first.lease,
        };
        let request = transaction(swaps);
        let mut causes = Causes::default();
        let mut in_doubt = false;
        for attempt in self.caller.attempts() {
            let member = self.caller.start(attempt).await;
            let outcome = self
                .caller
                .once(
                    member,
                    &ask,
                    request.clone(),
                    &|channel, request| async move { KvClient::new(channel).txn(request).await },
                )
                .await;
            match outcome {
                Ok(response) if response.succeeded => {
                    self.caller.note_term(response.header.as_ref());
                    let revision = revision(response.header.as_ref(), &ask)?;
                    return Ok(Together::Done { revision });
                }
                Ok(_) if in_doubt => {
                    let found = self.get(&first.key).await?;
                    return Ok(outcome_of(first, found));
                }
                Ok(_) => return Ok(Together::Apart),
                Err(Fault::Answered(error)) if must_be_apart(&error) => return Ok(Together::Apart),
                Err(Fault::Answered(error)) => return Err(error),
                Err(Fault::NotDone(cause)) => {
                    self.caller.count_setback();
                    causes.add(&member.name, cause);
                }
                Err(Fault::InDoubt(cause) | Fault::Cut(cause)) => {
                    self.caller.count_setback();
                    causes.add(&member.name, cause);
                    in_doubt = true;
                    let found = self.get(&first.key).await?;
                    if !is_at(&found, first.mod_revision) {
                        return Ok(outcome_of(first, found));
                    }
                }
            }
        }
        Err(causes.into_error())
    }
}

/// What the first key holds tells what became of a transaction without an answer.
fn outcome_of(first: &Swap, found: Option<Record>) -> Together {
    match found {
        Some(record) if record.value == first.value => Together::Done {
            revision: record.mod_revision,
        },
        _ => Together::Apart,
    }
}

/// Whether etcd would take the values one by one: together they are too large or too many
/// (`--max-txn-ops`), or the lease of one has ended.
fn must_be_apart(error: &StoreError) -> bool {
    match error {
        StoreError::TooLarge { .. } | StoreError::LeaseNotFound { .. } => true,
        StoreError::Refused { code, message, .. } => {
            *code == Code::InvalidArgument && message.contains("too many operations")
        }
        _ => false,
    }
}

/// If all keys have their revisions then all values.
fn transaction(swaps: &[Swap]) -> TxnRequest {
    let compare = swaps
        .iter()
        .map(|swap| has_revision(swap.key.clone(), swap.mod_revision));
    let put = swaps.iter().map(|swap| RequestOp {
        request: Some(Op::RequestPut(PutRequest {
            key: swap.key.clone(),
            value: swap.value.clone(),
            lease: swap.lease,
        })),
    });
    TxnRequest {
        compare: compare.collect(),
        success: put.collect(),
        failure: Vec::new(),
    }
}
