//! Clients of the apiserver that replace each object by itself.

use std::{
    sync::{Mutex, mpsc},
    thread,
};

use serde_json::Value;

use crate::{
    Result,
    support::{
        apiserver::Apiserver,
        kube::{Kube, KubeError},
    },
};

/// Objects of a page: what kube-storage-version-migrator and kubectl ask for at a time.
const PAGE: usize = 500;

/// Clients with a connection each.
pub(crate) struct Clients(Vec<Kube>);

impl Clients {
    /// So many, connected.
    pub(crate) fn connect(apiserver: &Apiserver, count: usize) -> Result<Self> {
        let clients: Vec<_> = (0..count).map(|_| apiserver.client()).collect();
        for client in &clients {
            client.text("/readyz").map_err(told)?;
        }
        Ok(Self(clients))
    }

    /// Lists a collection and puts back every object of it as it was read.
    pub(crate) fn put_each(&self, collection: &str) -> Result<()> {
        let lists = self.0[0].clone();
        let mut next = Some(String::new());
        let pages = std::iter::from_fn(|| {
            let token = next.take()?;
            let path = format!("{collection}?limit={PAGE}&continue={token}");
            Some(lists.get(&path).map(|mut list| {
                let token = list["metadata"]["continue"].as_str();
                next = token.filter(|token| !token.is_empty()).map(str::to_owned);
                match list["items"].take() {
                    Value::Array(items) => items,
                    _ => Vec::new(),
                }
            }))
        });
        let objects = pages.flat_map(|page| match page {
            Ok(items) => items.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        self.each(objects, |kube, object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            kube.update(&format!("{collection}/{name}"), &object)
        })
    }

    /// Does `work` for every object, on all clients at a time, while `objects` still come.
    pub(crate) fn each(
        &self,
        objects: impl Iterator<Item = Result<Value, KubeError>>,
        work: impl Fn(&Kube, Value) -> Result<Value, KubeError> + Sync,
    ) -> Result<()> {
        let (send, receive) = mpsc::sync_channel(2 * PAGE);
        let receive = Mutex::new(receive);
        let take = || receive.lock().expect("nobody panics").recv().ok();
        thread::scope(|scope| {
            let work = &work;
            let take = &take;
            let workers: Vec<_> = self
                .0
                .iter()
                .map(|client| {
                    scope.spawn(move || -> Result<(), KubeError> {
                        // The others go on without one that failed.
                        while let Some(object) = take() {
                            work(client, object)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            for object in objects {
                let object = object.map_err(told)?;
                send.send(object)?;
            }
            drop(send);
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().expect("nobody panics").map_err(told))
        })
    }
}

fn told(error: KubeError) -> Box<dyn std::error::Error> {
    error.to_string().into()
}
