//! A local KEK as the configuration wants it: under all roots that wrap, and their versions of now.

use std::{sync::Arc, time::Duration};

use tracing::{error, info, warn};

use super::{Keeper, Probed};
use crate::{
    local_kek::{Envelope, LocalKek, binding, fresh, key_id, state_dir::unix_now},
    root::remote::RootVersion,
};

/// A local KEK wraps for no longer than this, as Kubernetes' own reference had it (`k8s.io/kms`, `pkg/hierarchy`).
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Nor more DEK sources than this (the same).
const MAX_USES: u64 = 1 << 21;

impl Keeper {
    /// Sees that there is a local KEK as the configuration wants it, as far as the roots let us.
    pub(super) async fn settle(&mut self, probed: &[Probed]) -> Result<(), String> {
        if !probed
            .iter()
            .filter(|one| one.version.is_some())
            .any(|one| self.root(one).is_some_and(|root| !root.is_offline()))
        {
            return Ok(());
        }
        let current = match self.shared.current() {
            Some(current) => current,
            None => {
                let Some((kek, before)) = self.last().await else {
                    return self.make(probed).await;
                };
                (self.made_at, self.uses_before) = (before.made_at, before.uses);
                kek
            }
        };
        let is_lost = is_lost(probed);
        if is_lost {
            error!(
                local_kek = %current.id(),
                "no root opens the local KEK in use any more; what it wrapped opens as long as this process lives: raise `epoch` of the KEK, and run `rewrap run` before a restart"
            );
        }
        if is_lost || self.is_spent(&current) || self.is_other(&current, probed) {
            return self.make(probed).await;
        }
        let missing: Vec<_> = probed
            .iter()
            .filter(|one| {
                one.version.as_ref().is_some_and(|version| {
                    !current.envelope().versions().any(|other| other == version)
                })
            })
            .filter_map(|one| self.root(one).cloned())
            .collect();
        // The same key, wrapped by one root more: its key id is another, so what it wrapped so far is stale.
        let binding = binding(current.id(), &self.shared.settings.context);
        let mut wrapped = current.envelope().wrapped().to_vec();
        let before = wrapped.len();
        for root in missing {
            match root.wrap_and_try(current.material(), &binding).await {
                Ok(one) => wrapped.push(one),
                Err(error) => warn!(root = root.name(), %error, "could not wrap the local KEK"),
            }
        }
        let (made_at, uses) = (
            self.made_at,
            self.uses_before.saturating_add(current.uses()),
        );
        if wrapped.len() > before {
            let envelope = Envelope::new(current.id(), wrapped).map_err(|e| e.to_string())?;
            self.has_quorum(&envelope, probed)?;
            let kek = current.under(envelope, &self.shared.settings.context);
            self.publish(kek, made_at, uses).await;
        } else if self.shared.current().is_none() {
            self.has_quorum(current.envelope(), probed)?;
            self.adopt(current, made_at, uses).await;
        }
        Ok(())
    }

    /// Whether as many of the roots that wrap have wrapped it as the configuration wants, at any time.
    fn has_quorum(&self, envelope: &Envelope, probed: &[Probed]) -> Result<(), String> {
        let quorum = self.shared.settings.write_quorum;
        match self.coverage(envelope, probed) {
            enough if enough >= quorum => Ok(()),
            too_few => Err(format!(
                "{too_few} of the {quorum} roots that `writeQuorum` wants have wrapped the local KEK of before"
            )),
        }
    }

    /// How many of the roots that wrap have wrapped it. Of one that does not say which key it has, any of its kind
    /// that is no other's is taken for it: in an outage what all had wrapped goes on.
    pub(super) fn coverage(&self, envelope: &Envelope, probed: &[Probed]) -> usize {
        let mut left: Vec<_> = envelope.versions().collect();
        let all = left.len();
        let mut remove = |is_its: &dyn Fn(&RootVersion) -> bool| {
            if let Some(at) = left.iter().position(|version| is_its(version)) {
                left.swap_remove(at);
            }
        };
        let mut silent = Vec::new();
        for (index, root) in self.shared.wrapping().enumerate() {
            let mut answers = probed.iter().filter(|one| one.index == index);
            match answers.find_map(|one| one.version.as_ref()) {
                Some(answer) => remove(&|version| version.key() == answer.key()),
                None => silent.push(root.kind()),
            }
        }
        for kind in silent {
            remove(&|version| version.kind() == kind);
        }
        all - left.len()
    }

    /// Whether a root wraps under another version by now, or one wrapped that is not to any more.
    pub(super) fn is_other(&self, current: &LocalKek, probed: &[Probed]) -> bool {
        let all_answered = probed.iter().all(|one| one.version.is_some());
        current.envelope().versions().any(|version| {
            let mut answers = probed.iter().filter_map(|one| one.version.as_ref());
            match answers.find(|answer| answer.key() == version.key()) {
                Some(answer) => answer != version,
                None => all_answered,
            }
        })
    }

    pub(super) fn is_spent(&self, current: &LocalKek) -> bool {
        is_spent(
            Duration::from_secs(unix_now().saturating_sub(self.made_at)),
            self.uses_before.saturating_add(current.uses()),
        )
    }

    /// Makes a local KEK, if as many roots wrap it as the configuration wants.
    pub(super) async fn make(&mut self, probed: &[Probed]) -> Result<(), String> {
        let (id, material) = fresh()
            .map_err(|error| format!("the operating system gave no random bytes: {error}"))?;
        let binding = binding(id, &self.shared.settings.context);

        let (mut wrapped, mut can_open, mut failures) = (Vec::new(), false, Vec::new());
        for one in probed {
            let Some(root) = self.root(one) else { continue };
            if one.version.is_none() {
                failures.push(format!("the root {:?} does not answer", root.name()));
                continue;
            }
            match root.wrap_and_try(&material, &binding).await {
                Ok(one) => {
                    can_open |= !root.is_offline();
                    wrapped.push(one);
                }
                Err(error) => failures.push(format!("the root {:?} {error}", root.name())),
            }
        }
        let quorum = self.shared.settings.write_quorum;
        if wrapped.len() < quorum || !can_open {
            let failures = failures.join("; ");
            return Err(format!(
                "{} of the {quorum} roots that `writeQuorum` wants wrapped it: {failures}",
                wrapped.len()
            ));
        }
        let envelope = Envelope::new(id, wrapped).map_err(|error| error.to_string())?;
        let kek = LocalKek::new(envelope, material, &self.shared.settings.context);
        self.publish(kek, unix_now(), 0).await;
        Ok(())
    }

    /// Writes it down, then uses it.
    async fn publish(&mut self, kek: LocalKek, made_at: u64, uses: u64) {
        self.remember(kek.envelope()).await;
        self.adopt(Arc::new(kek), made_at, uses).await;
    }

    /// Wraps with this one from now on.
    pub(super) async fn adopt(&mut self, kek: Arc<LocalKek>, made_at: u64, uses: u64) {
        (self.made_at, self.uses_before) = (made_at, uses);
        self.on_trial = false;
        let roots: Vec<_> = kek.envelope().versions().map(ToString::to_string).collect();
        info!(
            key_id = %key_id(kek.envelope(), self.shared.settings.epoch),
            local_kek = %kek.id(),
            wrapped_by = roots.join(", "),
            "wrapping with a local KEK"
        );
        self.write_current(&kek).await;
        self.seal(kek.material(), kek.envelope()).await;
        self.shared.set_current(Some(kek));
    }
}

/// Whether a root says that the local KEK in use is not its own, and none opened it: a key that was deleted and made
/// again under its old name, at worst. Whatever is written from then on would be lost with this process.
fn is_lost(probed: &[Probed]) -> bool {
    let any = |answer| probed.iter().any(|one| one.opened == Some(answer));
    any(false) && !any(true)
}

/// Whether a local KEK of this age and use wraps no more.
fn is_spent(age: Duration, uses: u64) -> bool {
    age >= MAX_AGE || uses >= MAX_USES
}
