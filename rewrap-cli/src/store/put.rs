use prost::bytes::Bytes;

use super::{
    Ask, Causes, Record, Store, StoreError,
    call::Fault,
    revision,
    wire::etcdserverpb::{
        Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
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
    /// [`StoreError::Denied`]: nothing was written. [`StoreError::Unreachable`]: it may have been, if
    /// connections were cut after the request was sent; reading the key tells.
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
        let request = transaction(key, mod_revision, value.clone(), lease);
        let mut causes = Causes::default();
        let mut in_doubt = false;
        for attempt in self.0.attempts() {
            let member = self.0.start(attempt).await;
            let outcome = self
                .0
                .once(
                    member,
                    &ask,
                    request.clone(),
                    &|channel, request| async move { KvClient::new(channel).txn(request).await },
                )
                .await;
            let found = match outcome {
                Ok(response) if response.succeeded => {
                    let revision = revision(response.header.as_ref(), &ask)?;
                    return Ok(Put::Done { revision });
                }
                Ok(response) => current(response, &ask)?,
                Err(Fault::Answered(error)) => return Err(error),
                Err(Fault::NotDone(cause)) => {
                    causes.add(&member.name, cause);
                    continue;
                }
                Err(Fault::InDoubt(cause) | Fault::Cut(cause)) => {
                    causes.add(&member.name, cause);
                    in_doubt = true;
                    let found = self.get(key).await?;
                    if found.as_ref().map_or(0, |r| r.mod_revision) == mod_revision {
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
        Err(causes.into_error())
    }
}

fn transaction(key: &[u8], mod_revision: i64, value: Bytes, lease: i64) -> TxnRequest {
    let key = Bytes::copy_from_slice(key);
    let op = |request| RequestOp {
        request: Some(request),
    };
    TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: key.clone(),
            target_union: Some(TargetUnion::ModRevision(mod_revision)),
        }],
        success: vec![op(Op::RequestPut(PutRequest {
            key: key.clone(),
            value,
            lease,
        }))],
        failure: vec![op(Op::RequestRange(RangeRequest {
            key,
            ..RangeRequest::default()
        }))],
    }
}

/// The record in the answer of a transaction whose compare failed.
fn current(response: TxnResponse, ask: &Ask) -> Result<Option<Record>, StoreError> {
    let first = response.responses.into_iter().next();
    match first.and_then(|op| op.response) {
        Some(Done::ResponseRange(range)) => Ok(range.kvs.into_iter().next().map(Record::from)),
        _ => Err(StoreError::Incomplete {
            ask: ask.clone(),
            part: "the current record",
        }),
    }
}
