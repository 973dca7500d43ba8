//! A range that comes in one stream, taken from the connection before anybody wants it.

use tokio::{sync::mpsc, task::JoinSet};

use crate::store::{RangeOptions, Record, Store, StoreError};

/// A stream and the task that reads it, which ends with it. One part waits for whoever takes it and one
/// for the first to be taken; then etcd waits too.
#[derive(Debug)]
pub(super) struct Streamed {
    parts: mpsc::Receiver<Result<Vec<Record>, StoreError>>,
    /// How many keys are still to come.
    left: i64,
    _task: JoinSet<()>,
}

impl Streamed {
    /// A stream of so many keys.
    pub(super) fn start(store: &Store, options: RangeOptions, keys: i64) -> Self {
        let (sender, parts) = mpsc::channel(1);
        let mut task = JoinSet::new();
        let store = store.clone();
        task.spawn(async move {
            let mut stream = match store.range_stream(options).await {
                Ok(stream) => stream,
                // Nobody waits for it any more if it cannot be sent.
                Err(error) => return drop(sender.send(Err(error)).await),
            };
            while let Some(part) = stream.next().await.transpose() {
                let broke = part.is_err();
                if sender.send(part).await.is_err() || broke {
                    return;
                }
            }
        });
        Self {
            parts,
            left: keys,
            _task: task,
        }
    }

    pub(super) fn left(&self) -> i64 {
        self.left
    }

    /// The next part; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<Record>, StoreError>> {
        let part = self.parts.recv().await;
        if let Some(Ok(records)) = &part {
            self.left -= i64::try_from(records.len()).unwrap_or(i64::MAX);
        }
        part
    }
}
