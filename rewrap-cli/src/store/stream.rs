//! Ranges that etcd 3.7 and newer send in one stream: without a request, and without a count to the
//! end, for every page.

use std::{sync::atomic::Ordering, time::Duration};

use tonic::Streaming;

use super::{
    Ask, Causes, Kind, Page, RangeOptions, Record, Store, StoreError,
    call::{Fault, fault, within},
    key_after,
    wire::etcdserverpb::{RangeRequest, RangeStreamResponse, kv_client::KvClient},
};

impl Store {
    /// Whether ranges may be had as streams: until an endpoint says that it knows of none.
    pub fn streams(&self) -> bool {
        self.kind == Kind::Etcd && self.caller.streams.load(Ordering::Relaxed)
    }

    /// Reads a range at its revision, in parts that etcd chooses: of 10 records first, then of about
    /// `--max-request-bytes` (1.5 MiB). A part that nobody takes waits in the connection.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] from a server that has no streams, which [`Self::streams`] then
    /// says, and what [`Self::range`] can meet.
    pub async fn range_stream(&self, options: RangeOptions) -> Result<RangeStream, StoreError> {
        let ask = options.ask();
        let max_reply = options.max_reply(self.caller.max_reply);
        let opened = self
            .caller
            .read(
                &ask,
                RangeRequest::from(options),
                |channel, request| async move {
                    KvClient::new(channel)
                        .max_decoding_message_size(max_reply)
                        .range_stream(request)
                        .await
                },
            )
            .await;
        if let Err(StoreError::Unsupported { .. }) = opened {
            self.caller.streams.store(false, Ordering::Relaxed);
        }
        Ok(RangeStream {
            parts: opened?,
            timeout: self.caller.request_timeout,
            ask,
            max_reply,
            complete: false,
        })
    }
}

/// A range on its way.
#[derive(Debug)]
pub struct RangeStream {
    parts: Streaming<RangeStreamResponse>,
    timeout: Duration,
    /// What is still to come.
    ask: Ask,
    max_reply: usize,
    complete: bool,
}

impl RangeStream {
    /// The next part, never an empty one; `None` at the end. Waits as long as a request may take.
    ///
    /// # Errors
    /// What [`Store::range`] can meet; no part follows. Whoever asks for the range behind the last
    /// record goes on in its place.
    pub async fn next(&mut self) -> Result<Option<Vec<Record>>, StoreError> {
        loop {
            let part = within(self.timeout, self.parts.message()).await;
            let part = match part
                .and_then(|part| part.map_err(|status| fault(&status, &self.ask, self.max_reply)))
            {
                Ok(Some(part)) => part.range_response.unwrap_or_default(),
                Ok(None) if self.complete => return Ok(None),
                Ok(None) => {
                    let ask = self.ask.clone();
                    let part = "its last part";
                    return Err(StoreError::Incomplete { ask, part });
                }
                Err(Fault::Answered(error)) => return Err(error),
                Err(Fault::NotDone(cause) | Fault::InDoubt(cause) | Fault::Cut(cause)) => {
                    let mut causes = Causes::default();
                    causes.add("a stream of etcd", cause);
                    return Err(causes.into_error());
                }
            };
            self.complete = part.header.is_some();
            let page = Page::of_part(part, &self.ask)?;
            if let (Some(last), Ask::Read { key, .. }) = (page.records.last(), &mut self.ask) {
                *key = key_after(&last.key).as_slice().into();
                return Ok(Some(page.records));
            }
        }
    }
}
