//! A client that does not stop working while its cluster is rewrapped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::ledger::Ledger;
use crate::support::{
    dice::Dice,
    eventually,
    kube::{Kube, KubeError},
};

/// Creates, replaces and deletes Secrets of a ledger on a thread of its own.
pub(crate) struct Churn {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicUsize>,
    thread: JoinHandle<(Ledger, Result<(), KubeError>)>,
}

impl Churn {
    /// Starts, and returns after the first acknowledged write.
    pub(crate) fn start(kube: Kube, mut secrets: Ledger, mut dice: Dice) -> Self {
        let (stop, writes) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stopped, written) = (Arc::clone(&stop), Arc::clone(&writes));
        let thread = std::thread::spawn(move || {
            let mut result = Ok(());
            while result.is_ok() && !stopped.load(Ordering::Relaxed) {
                result = write(&kube, &mut secrets, &mut dice);
                written.fetch_add(1, Ordering::Relaxed);
            }
            (secrets, result)
        });
        let churn = Self {
            stop,
            writes,
            thread,
        };
        eventually("the busy client writes", || {
            (churn.writes() > 0).then_some(())
        });
        churn
    }

    /// How often it wrote so far.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Stops; every write must have been acknowledged.
    pub(crate) fn finish(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let (secrets, result) = self.thread.join().unwrap();
        result.unwrap_or_else(|error| panic!("the busy client was refused: {error}"));
        secrets
    }
}

/// One write: of four, two replace, one creates, one deletes.
fn write(kube: &Kube, secrets: &mut Ledger, dice: &mut Dice) -> Result<(), KubeError> {
    let names = secrets.names();
    let name = &names[dice.below(names.len())];
    match dice.below(4) {
        0 => {
            let name = format!("churned-{:016x}", dice.below(usize::MAX));
            secrets.create(kube, &secret(&name, dice))
        }
        1 => secrets.delete(kube, name),
        _ => secrets.update(kube, &secret(name, dice)),
    }
}

/// A Secret with chance for its data.
pub(crate) fn secret(name: &str, dice: &mut Dice) -> Value {
    let length = 1 + dice.below(2000);
    let data = BASE64_STANDARD.encode(dice.bytes(length));
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"data": data},
    })
}
