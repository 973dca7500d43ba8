use prost::bytes::Bytes;

use super::{
    Ask, Causes, Record, Store, StoreError,
    call::Fault,
    revision,
    wire::etcdserverpb::{
        Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
        compare::{CompareResult, CompareTarget, TargetUnion},
        kv_client::KvClient,
        request_op::Request as Op,
        response_op::Response as Done,
    },
};

/// How a compare-and-put ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// The value is stored.
    Done {
        /// The revision of the write.
        revision: i64,
    },
    /// Somebody else wrote first: what is stored now, or `None` where the key is gone. Nothing of
    /// ours was or will be written.
    Lost(Option<Record>),
}

impl Store {
    /// Writes `value` if the key still has `mod_revision`: exactly kube-apiserver's own transaction
    /// `If MOD(key)=mod_revision Then Put(key, value, lease) Else Range(key)`, the only shape that
    /// kine accepts too.
    ///
    /// Where an answer is lost (timeout, cut connection, change of leader) the key is read back.
    /// Still at `mod_revision`: the write is sent again, which cannot write twice, because the
    /// first to arrive raises the revision. Our bytes: `Done`. Anything else: `Lost`.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`], [`StoreError::TooLarge`], [`StoreError::LeaseNotFound`],
    /// [`StoreError::NotWritten`], [`StoreError::Denied`]: nothing was written.
    /// [`StoreError::Unreachable`]: it may have been, if connections were cut after the request was
    /// sent; reading the key tells.
    pub async fn compare_and_put(
        &self,
        key: &[u8],
        mod_revision: i64,
        value: Bytes,
        lease: i64,
    ) -> Result<Put, StoreError> {
        let ask = Ask::Write {
            key: key.into(),
            size: value.len(),
            lease,
        };
        let put = Op::RequestPut(PutRequest {
            key: Bytes::copy_from_slice(key),
            value: value.clone(),
            lease,
        });
        let request = transaction(key, mod_revision, put);
        let mut causes = Causes::default();
        let (mut in_doubt, mut refused) = (false, false);
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
            let found = match outcome {
                Ok(response) if response.succeeded => {
                    self.caller.note_term(response.header.as_ref());
                    let revision = revision(response.header.as_ref(), &ask)?;
                    return Ok(Put::Done { revision });
                }
                Ok(response) => {
                    let found = current(response, key, &ask)?;
                    if mod_revision > 0 && is_at(&found, mod_revision) {
                        // The compare holds and yet failed: kine's answer where its database did.
                        refused = true;
                        continue;
                    }
                    found
                }
                Err(Fault::Answered(error)) => return Err(error),
                Err(Fault::NotDone(cause)) => {
                    self.caller.count_setback();
                    causes.add(&member.name, cause);
                    continue;
                }
                Err(Fault::InDoubt(cause) | Fault::Cut(cause)) => {
                    self.caller.count_setback();
                    causes.add(&member.name, cause);
                    in_doubt = true;
                    let found = self.get(key).await?;
                    if is_at(&found, mod_revision) {
                        continue;
                    }
                    found
                }
            };
            return Ok(match found {
                Some(record) if in_doubt && record.value == value => Put::Done {
                    revision: record.mod_revision,
                },
                found => Put::Lost(found),
            });
        }
        Err(if refused {
            StoreError::NotWritten { key: key.into() }
        } else {
            causes.into_error()
        })
    }

    /// Deletes a key if it still has `mod_revision`; says whether it did or cannot tell. For the
    /// lock only: objects are never deleted.
    pub(super) async fn compare_and_delete(
        &self,
        key: &[u8],
        mod_revision: i64,
    ) -> Result<bool, StoreError> {
        let ask = Ask::Write {
            key: key.into(),
            size: 0,
            lease: 0,
        };
        let delete = Op::RequestDeleteRange(DeleteRangeRequest {
            key: Bytes::copy_from_slice(key),
        });
        // Sent twice at worst: what was deleted is at that revision no more.
        let response = self
            .caller
            .read(
                &ask,
                transaction(key, mod_revision, delete),
                |channel, request| async move { KvClient::new(channel).txn(request).await },
            )
            .await?;
        Ok(response.succeeded)
    }
}

pub(super) fn is_at(found: &Option<Record>, mod_revision: i64) -> bool {
    found.as_ref().map_or(0, |record| record.mod_revision) == mod_revision
}

/// That the key has this revision.
pub(super) fn has_revision(key: Bytes, mod_revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Mod.into(),
        key,
        target_union: Some(TargetUnion::ModRevision(mod_revision)),
    }
}

/// If the key has this revision then the operation, else its record.
fn transaction(key: &[u8], mod_revision: i64, operation: Op) -> TxnRequest {
    let key = Bytes::copy_from_slice(key);
    let op = |request| RequestOp {
        request: Some(request),
    };
    TxnRequest {
        compare: vec![has_revision(key.clone(), mod_revision)],
        success: vec![op(operation)],
        failure: vec![op(Op::RequestRange(RangeRequest {
            key,
            ..RangeRequest::default()
        }))],
    }
}

/// The record in the answer of a transaction whose compare failed.
fn current(response: TxnResponse, key: &[u8], ask: &Ask) -> Result<Option<Record>, StoreError> {
    let first = response.responses.into_iter().next();
    match first.and_then(|op| op.response) {
        Some(Done::ResponseRange(range)) => match range.kvs.into_iter().next().map(Record::from) {
            Some(record) if record.key != key => Err(StoreError::OtherKey {
                asked: key.into(),
                got: record.key[..].into(),
            }),
            found => Ok(found),
        },
        _ => Err(StoreError::Incomplete {
            ask: ask.clone(),
            part: "the current record",
        }),
    }
}
