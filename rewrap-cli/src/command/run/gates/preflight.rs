//! The gates that a run passes before its first write, each with the flag that opens it.

use std::{collections::BTreeSet, fmt};

use kms_proto::{
    KeyId,
    inventory::{Inventory, ResourceInventory},
};

use crate::{
    chain::Chain,
    cli::RunArgs,
    command::{
        CommandError,
        plan::{Load, Tight},
        run::{selection::Selection, writing::LOCK_KEY},
    },
    keys::KeyChange,
    session::Session,
    store::{Concern, Span},
    stored::Provider,
};

/// A gate that is shut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// An alarm is raised.
    #[error("{0}; --ignore-alarms tries nevertheless")]
    Alarm(Concern),
    /// A member is not well.
    #[error("{0}; --ignore-members goes on with those that are well")]
    Member(Concern),
    /// The database would come close to its quota.
    #[error("{0}; --ignore-quota begins nevertheless")]
    Quota(String),
    /// The user may not write what is to be written.
    #[error(
        "etcd does not permit the user {user:?} to write {keys}; grant its role that range, or try \
         nevertheless with --ignore-permissions{}",
        if *is_lock { ", or go without the lock with --no-lock" } else { "" }
    )]
    Permission {
        /// etcd's user.
        user: String,
        /// What all the keys begin with, or the one key.
        keys: String,
        /// Whether it is the lock alone that cannot be written.
        is_lock: bool,
    },
    /// A KMS provider named two key ids within moments.
    #[error(
        "the KMS provider {provider} named key id {first}, and now {second}: it is being rotated, or \
         plugins with different keys stand behind its socket; try again when it is stable, or go on \
         under the newest with --follow"
    )]
    KeyId {
        /// Which.
        provider: String,
        /// The key id this run began with.
        first: KeyId,
        /// The key id now.
        second: KeyId,
    },
}

/// All gates that are shut, one a line.
#[derive(Debug)]
pub struct Refusals(Vec<Refusal>);

impl std::error::Error for Refusals {}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was written")?;
        for refusal in &self.0 {
            write!(f, "\n  {refusal}")?;
        }
        Ok(())
    }
}

/// Looks at everything that would make writing unsafe or vain. What a flag lets pass is a warning.
pub(in crate::command::run) async fn preflight(
    selection: &Selection<'_>,
    session: &Session,
    inventory: &Inventory,
) -> Result<(), CommandError> {
    let args = selection.args;
    let mut gates = Gates {
        selection,
        shut: Vec::new(),
    };
    for store in &session.stores {
        let load = Load::of_rows(store, inventory, |row| selection.takes(row)).await;
        gates.members(&load.limited_to(args.limit.unwrap_or(u64::MAX)));
    }
    gates.permissions(session, inventory).await;
    gates.key_ids(session, inventory).await?;
    if gates.shut.is_empty() {
        Ok(())
    } else {
        Err(CommandError::Gates(Refusals(gates.shut)))
    }
}

struct Gates<'a> {
    selection: &'a Selection<'a>,
    shut: Vec<Refusal>,
}

impl Gates<'_> {
    fn shut_unless(&mut self, ignored: bool, refusal: Refusal) {
        if ignored {
            eprintln!("warning: {refusal}");
        } else {
            self.shut.push(refusal);
        }
    }

    fn members(&mut self, load: &Load) {
        let ignored = self.selection.args.gates.clone();
        for concern in load.concerns() {
            match concern {
                Concern::Alarm(_) => {
                    self.shut_unless(ignored.ignore_alarms, Refusal::Alarm(concern));
                }
                Concern::Learner(_) => eprintln!("warning: {concern}"),
                _ => self.shut_unless(ignored.ignore_members, Refusal::Member(concern)),
            }
        }
        match load.tight() {
            Some(tight @ Tight::Known { .. }) => {
                self.shut_unless(ignored.ignore_quota, Refusal::Quota(tight.to_string()));
            }
            // A guess shuts nothing.
            Some(tight @ Tight::Unknown { .. }) => eprintln!("warning: {tight}"),
            None => {}
        }
    }

    /// Says nothing where etcd asks for no user, or does not let it look at its own rights.
    async fn permissions(&mut self, session: &Session, inventory: &Inventory) {
        let args = self.selection.args;
        for (index, store) in session.stores.iter().enumerate() {
            let Some(rights) = store.store.rights().await else {
                continue;
            };
            let mut denied = Vec::new();
            if index == 0 && !args.no_lock && !rights.may_write(&Span::key(LOCK_KEY)) {
                denied.push((String::from_utf8_lossy(LOCK_KEY).into_owned(), true));
            }
            let here =
                written(self.selection, inventory).filter(|resource| resource.store == store.name);
            let keys = here.map(|resource| scoped(args, &resource.path));
            let keys = keys.filter(|keys| !rights.may_write(&Span::directory(keys.as_bytes())));
            denied.extend(keys.map(|keys| (keys, false)));
            for (keys, is_lock) in denied {
                let user = rights.user().to_owned();
                let refusal = Refusal::Permission {
                    user,
                    keys,
                    is_lock,
                };
                self.shut_unless(args.gates.ignore_permissions, refusal);
            }
        }
    }

    /// Asks every provider that is written with once more: the session did so when it began.
    async fn key_ids(
        &mut self,
        session: &Session,
        inventory: &Inventory,
    ) -> Result<(), CommandError> {
        let mut asked = BTreeSet::new();
        for resource in written(self.selection, inventory) {
            let Ok(name) = resource.resource.parse();
            let rule = session.rule(&name);
            let Some(Provider::KmsV2(provider)) = rule.providers().first() else {
                continue;
            };
            if !asked.insert(provider.clone()) {
                continue;
            }
            match session.keys.still_current(provider).await {
                Ok(()) => {}
                Err(KeyChange::Rotated { provider, from, to }) => {
                    let refusal = Refusal::KeyId {
                        provider: provider.to_string(),
                        first: from,
                        second: to,
                    };
                    self.shut_unless(self.selection.args.follow, refusal);
                }
                Err(KeyChange::Down { provider, source }) => {
                    return Err(CommandError::KmsDown {
                        provider: provider.to_string(),
                        reason: Chain(&source).to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The resources of which a run writes something.
fn written<'a>(
    selection: &'a Selection<'_>,
    inventory: &'a Inventory,
) -> impl Iterator<Item = &'a ResourceInventory> {
    inventory.resources.iter().filter(|resource| {
        let mut rows = resource.written_with.iter();
        rows.any(|row| row.objects > 0 && selection.takes(row))
    })
}

/// What the keys of a resource begin with that a run writes.
fn scoped(args: &RunArgs, path: &str) -> String {
    match &args.scope.namespace {
        Some(namespace) => format!("{path}{namespace}/"),
        None => path.to_owned(),
    }
}
