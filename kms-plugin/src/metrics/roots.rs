//! The numbers of the roots, taken when they are asked for.

use std::sync::{Arc, atomic::Ordering};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    keyring::Keyring,
    local_kek::{Phase, Standing, guarded::Guarded},
};

#[derive(Debug, Default)]
pub(super) struct RootMetrics {
    states: Family<StateLabels, Gauge>,
    grace_left: Gauge,
    local_keks: Gauge,
    up: Family<RootLabels, Gauge>,
    last_answer: Family<RootLabels, Gauge>,
    calls: Family<CallLabels, Counter>,
    failed_calls: Family<RootLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RootLabels {
    root: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    root: String,
    kind: &'static str,
    call: &'static str,
}

impl RootMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "state",
            "1 for the state of the daemon, 0 for the others",
            self.states.clone(),
        );
        registry.register(
            "grace_left_seconds",
            "While degraded: how long it is served from memory still",
            self.grace_left.clone(),
        );
        registry.register(
            "local_keks",
            "Local KEKs that are open",
            self.local_keks.clone(),
        );
        registry.register(
            "root_up",
            "Whether the last call of a root was answered well",
            self.up.clone(),
        );
        registry.register(
            "root_last_answer_age_seconds",
            "How long ago a root last answered well",
            self.last_answer.clone(),
        );
        registry.register("root_calls", "Calls of a root", self.calls.clone());
        registry.register(
            "root_failed_calls",
            "Calls that a root did not answer, or refused",
            self.failed_calls.clone(),
        );
    }

    /// Takes the numbers of this moment.
    pub(super) fn show(&self, keyring: &Keyring) {
        let phase = keyring.phase();
        for state in Phase::NAMES {
            let is_it = phase.name() == state;
            self.states
                .get_or_create(&StateLabels { state })
                .set(is_it.into());
        }
        let left = match phase {
            Phase::Degraded { left, .. } => left.as_secs(),
            _ => 0,
        };
        self.grace_left.set(left.try_into().unwrap_or(i64::MAX));
        self.up.clear();
        self.last_answer.clear();
        self.calls.clear();
        self.failed_calls.clear();
        let Some(under_roots) = keyring.under_roots() else {
            return;
        };
        self.local_keks.set(under_roots.held() as i64);
        for root in under_roots.roots().iter().filter(|root| !root.is_offline()) {
            self.show_root(root, root.standing(under_roots.grace()) == Standing::Good);
        }
    }

    fn show_root(&self, root: &Arc<Guarded>, is_good: bool) {
        let labels = RootLabels {
            root: root.name().to_owned(),
            kind: root.kind(),
        };
        self.up.get_or_create(&labels).set(is_good.into());
        if let Some(since) = root.since_contact() {
            let seconds = since.as_secs().try_into().unwrap_or(i64::MAX);
            self.last_answer.get_or_create(&labels).set(seconds);
        }
        let calls = root.calls();
        for (call, count) in [
            ("version", calls.version),
            ("wrap", calls.wrap),
            ("unwrap", calls.unwrap),
        ] {
            let labels = CallLabels {
                root: root.name().to_owned(),
                kind: root.kind(),
                call,
            };
            let counter = self.calls.get_or_create(&labels);
            counter.inner().store(count, Ordering::Relaxed);
        }
        let failed = self.failed_calls.get_or_create(&labels);
        failed.inner().store(calls.failed, Ordering::Relaxed);
    }
}
