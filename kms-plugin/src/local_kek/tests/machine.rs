//! What starts a daemon, again and again.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::local_kek::guarded::Guarded;

/// A machine: what of it outlives the daemon.
pub(super) struct Machine {
    directory: TempDir,
    pub(super) context: &'static str,
    pub(super) grace: Duration,
    pub(super) quorum: usize,
    pub(super) copies: Option<[u8; 32]>,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            context: "test",
            grace: GRACE,
            quorum: 1,
            copies: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a daemon with these roots, all of which wrap.
    pub(super) fn start(&self, roots: &[(&str, &Puppet)]) -> UnderRoots {
        let state = Arc::new(StateDir::open(&self.path().join("state")).unwrap());
        self.start_beside(None, state, roots)
    }

    /// The same for a reload, beside the one that is in use until then.
    pub(super) fn start_beside(
        &self,
        in_use: Option<&UnderRoots>,
        state: Arc<StateDir>,
        roots: &[(&str, &Puppet)],
    ) -> UnderRoots {
        let contacts = state.contacts();
        let guarded = |(name, puppet): &(&str, &Puppet)| {
            let contact = contacts.get(*name).copied();
            Arc::new(Guarded::new(
                (*name).to_owned(),
                Box::new((*puppet).clone()),
                contact,
            ))
        };
        let settings = Settings {
            context: self.context.to_owned(),
            epoch: 1,
            roots: roots.iter().map(guarded).collect(),
            wrap_with: (0..roots.len()).collect(),
            write_quorum: self.quorum,
            grace: self.grace,
            state,
            copies: self
                .copies
                .map(|key| SealedCopies::new(&KeyMaterial::new(Box::new(key)), self.context)),
        };
        UnderRoots::start(settings, in_use)
    }

    pub(super) async fn ready(&self, roots: &[(&str, &Puppet)]) -> UnderRoots {
        let under_roots = self.start(roots);
        let ready = timeout(Duration::from_secs(60), under_roots.ready());
        ready.await.expect("it never became ready");
        under_roots
    }
}

/// Its lock on the state directory goes with its last task.
pub(super) async fn stop(under_roots: UnderRoots, machine: &Machine) {
    drop(under_roots);
    let state = machine.path().join("state");
    until(|| StateDir::open(&state).is_ok()).await;
}

/// The same, once it is written down when the roots last answered.
pub(super) async fn stop_known(under_roots: UnderRoots, machine: &Machine) {
    let contacts = machine.path().join("state/contacts.json");
    until(|| contacts.exists()).await;
    stop(under_roots, machine).await;
}
