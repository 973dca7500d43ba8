//! What the keeper writes down, and goes on with after a restart.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tracing::warn;

use super::{Keeper, blocking};
use crate::{
    local_kek::{
        Envelope, LocalKek,
        guarded::{Guarded, Patience, now},
        outage::Standing,
        state_dir::Current,
    },
    root::local::KeyMaterial,
};

/// Uses that are written down ahead, so that not each one is.
const USES_AHEAD: u64 = 1 << 12;
/// How old the times of contact in the state directory may become while all is well.
const CONTACTS_EVERY: Duration = Duration::from_secs(60);

impl Keeper {
    /// The local KEK of the process before, if a root opens it, with when it was made and how often it was used.
    pub(super) async fn last(&self) -> Option<(Arc<LocalKek>, Current)> {
        let state = Arc::clone(&self.shared.settings.state);
        let (current, envelope) = blocking(move || state.last()).await?;
        match self.shared.open(envelope.clone(), Patience::Asked).await {
            Ok(kek) => Some((self.as_kept(kek, envelope), current)),
            Err(error) => {
                warn!(?error, "the local KEK of before does not open");
                None
            }
        }
    }

    /// It as the state directory has it: a call may have come first and opened it with what stood in an object,
    /// which may be of before another root wrapped it, or forged.
    fn as_kept(&self, kek: Arc<LocalKek>, envelope: Envelope) -> Arc<LocalKek> {
        if *kek.envelope() == envelope {
            return kek;
        }
        Arc::new(kek.under(envelope, &self.shared.settings.context))
    }

    /// Goes on from sealed copies before any root is asked, if one answered within the time that its silence is
    /// borne.
    pub(super) async fn unseal(&mut self) {
        let shared = Arc::clone(&self.shared);
        let is_borne = |root: &Arc<Guarded>| {
            // One that is offline is never away, and its time is that of nobody's silence.
            !root.is_offline()
                && matches!(root.standing(shared.settings.grace), Standing::Borne { .. })
        };
        let Some(copies) = &shared.settings.copies else {
            return;
        };
        if !shared.wrapping().any(is_borne) {
            return;
        }
        let state = Arc::clone(&shared.settings.state);
        let found = blocking(move || {
            let current = state.last();
            let all = state.envelopes().into_iter();
            let sealed = all.filter_map(|envelope| Some((state.sealed(envelope.id())?, envelope)));
            (sealed.collect::<Vec<_>>(), current)
        });
        let (sealed, current) = found.await;
        let context = &shared.settings.context;
        for (copy, envelope) in sealed {
            let id = envelope.id();
            match copies.open(&copy, &envelope) {
                Some(material) => shared
                    .held
                    .insert(Arc::new(LocalKek::new(envelope, material, context))),
                None => {
                    warn!(local_kek = %id, "a sealed copy does not open; is `sealedCopies.keyFile` another?")
                }
            }
        }
        if let Some((current, envelope)) = current
            && let Some(kek) = shared.held.get(envelope.id())
            && self.coverage(&envelope, &[]) >= shared.settings.write_quorum
        {
            let kek = self.as_kept(kek, envelope);
            self.adopt(kek, current.made_at, current.uses).await;
        }
    }

    pub(super) async fn seal(&self, material: &KeyMaterial, envelope: &Envelope) {
        let Some(copies) = &self.shared.settings.copies else {
            return;
        };
        let state = Arc::clone(&self.shared.settings.state);
        let (id, sealed) = (envelope.id(), copies.seal(material, envelope));
        let written = match sealed {
            Ok(sealed) => blocking(move || state.seal(id, &sealed))
                .await
                .map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = written {
            warn!(error, "cannot keep a sealed copy");
        }
    }

    /// Keeps what a call brought, and a sealed copy; what is kept already stays as it is.
    pub(super) async fn keep(&self, envelope: Envelope) {
        let state = Arc::clone(&self.shared.settings.state);
        match blocking(move || state.remember_new(envelope)).await {
            Ok(kept) => {
                if let Some(kek) = self.shared.held.get(kept.id()) {
                    self.seal(kek.material(), &kept).await;
                }
            }
            Err(error) => {
                warn!(%error, "cannot write to the state directory; a restart asks the root again");
            }
        }
    }

    pub(super) async fn remember(&self, envelope: &Envelope) {
        let state = Arc::clone(&self.shared.settings.state);
        let envelope = envelope.clone();
        if let Err(error) = blocking(move || state.remember(&envelope)).await {
            warn!(%error, "cannot write to the state directory; a restart asks the root again");
        }
    }

    /// Keeps uses and contacts, if they have changed enough.
    pub(super) async fn write_down(&mut self) {
        if let Some(kek) = self.shared.current()
            && self.uses_before.saturating_add(kek.uses()) > self.uses_written
        {
            self.write_current(&kek).await;
        }
        let is_due = self
            .contacts_written
            .is_none_or(|at| now().saturating_duration_since(at) >= CONTACTS_EVERY);
        let contacts: BTreeMap<_, _> = self
            .shared
            .settings
            .roots
            .iter()
            .filter_map(|root| Some((root.name().to_owned(), root.since_contact()?)))
            .collect();
        if is_due && !contacts.is_empty() {
            let state = Arc::clone(&self.shared.settings.state);
            match blocking(move || state.set_contacts(&contacts)).await {
                Ok(()) => self.contacts_written = Some(now()),
                Err(error) => warn!(%error, "cannot write to the state directory"),
            }
        }
    }

    pub(super) async fn write_current(&mut self, kek: &LocalKek) {
        let uses = self.uses_before.saturating_add(kek.uses()) + USES_AHEAD;
        let current = Current {
            kek: kek.id().to_string(),
            made_at: self.made_at,
            uses,
        };
        let state = Arc::clone(&self.shared.settings.state);
        match blocking(move || state.set_current(&current)).await {
            Ok(()) => self.uses_written = uses,
            Err(error) => warn!(%error, "cannot write to the state directory"),
        }
    }
}
