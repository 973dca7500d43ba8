//! `rewrap plan`.

use kms_proto::inventory::{
    API_VERSION, Inventory, ObjectState, PlannedResource, ResourceInventory, RewrapPlan,
    WrittenWith,
};

use super::{CommandError, Exit, status};
use crate::{
    cli::{Output, PaceArgs, PlanArgs},
    progress::Target,
    report,
    scope::Scope,
    session::Session,
    survey::{Depth, survey},
};

mod load;

pub(super) use load::{Load, Tight};

/// Shows what `run` would do, and what it would cost.
pub(super) async fn plan(args: PlanArgs) -> Result<Exit, CommandError> {
    let mut session = Session::open(&args.connection).await?;
    session.quiet = args.quiet;
    status::warn_of_silent_plugins(&session);
    let inventory = survey(&mut session, &Scope::new(&args.scope), Depth::Opened).await?;
    let mut loads = Vec::new();
    for store in &session.stores {
        loads.push(Load::of(store, &inventory).await);
    }
    let plan = plan_of(&inventory, &args.pace, &loads);
    report::print(args.output, &plan, report::plan_table).map_err(CommandError::Io)?;
    if args.output == Output::Table && plan.objects > 0 {
        eprintln!("next: `rewrap run --apiserver URL`, once for every apiserver");
    }
    Ok(Exit::Done)
}

/// All objects that a run would rewrite.
pub(super) fn left_to_rewrite(inventory: &Inventory) -> u64 {
    count(inventory, is_to_rewrite)
}

/// All objects of which nothing tells under which KEK they are: a run rewrites them where it is told
/// to.
pub(super) fn under_kms_v1(inventory: &Inventory) -> u64 {
    count(inventory, is_under_kms_v1)
}

/// All objects that are encrypted as they should be: a run rewrites them where it is told to.
pub(super) fn encrypted_and_current(inventory: &Inventory) -> u64 {
    count(inventory, is_encrypted_and_current)
}

/// The resources with objects in such rows of an inventory.
pub(super) fn targets(
    inventory: &Inventory,
    is_written: impl Fn(&WrittenWith) -> bool,
) -> Vec<Target> {
    let resources = inventory.resources.iter().map(|resource| {
        let rows = resource.written_with.iter().filter(|row| is_written(row));
        Target {
            resource: resource.resource.clone(),
            objects: rows.map(|row| row.objects).sum(),
        }
    });
    resources.filter(|target| target.objects > 0).collect()
}

/// How many objects are in such rows of an inventory.
pub(super) fn count(inventory: &Inventory, counts: impl Fn(&WrittenWith) -> bool) -> u64 {
    inventory
        .resources
        .iter()
        .flat_map(|resource| &resource.written_with)
        .filter(|row| counts(row))
        .map(|row| row.objects)
        .sum()
}

/// Whether a run rewrites the objects of a row without being told to.
pub(in crate::command) fn is_to_rewrite(row: &WrittenWith) -> bool {
    matches!(row.state, ObjectState::Plaintext | ObjectState::Stale)
}

/// Whether it rewrites them where it is told to rewrite what is under KMS v1.
pub(in crate::command) fn is_under_kms_v1(row: &WrittenWith) -> bool {
    row.state == ObjectState::Unknowable && row.key.provider == "kms-v1"
}

/// Whether it rewrites them where it is told to rewrite what is encrypted and current.
pub(in crate::command) fn is_encrypted_and_current(row: &WrittenWith) -> bool {
    row.state == ObjectState::Current && row.key.provider != "identity"
}

/// Objects of a resource that a run would rewrite, and their bytes.
fn to_rewrite(resource: &ResourceInventory) -> (u64, u64) {
    resource
        .written_with
        .iter()
        .filter(|row| is_to_rewrite(row))
        .fold((0, 0), |(objects, bytes), row| {
            (objects + row.objects, bytes + row.bytes)
        })
}

fn plan_of(inventory: &Inventory, pace: &PaceArgs, loads: &[Load]) -> RewrapPlan {
    let resources: Vec<_> = inventory
        .resources
        .iter()
        .filter_map(|resource| {
            let (objects, bytes) = to_rewrite(resource);
            (objects > 0).then(|| PlannedResource {
                resource: resource.resource.clone(),
                objects,
                bytes,
                writes_with: resource.writes_with.clone(),
            })
        })
        .collect();
    let wraps = resources
        .iter()
        .filter(|resource| resource.writes_with.provider == "kms-v2")
        .map(|resource| &resource.writes_with)
        .collect::<std::collections::BTreeSet<_>>()
        .len() as u64;
    // A DEK for every object.
    let v1: u64 = resources
        .iter()
        .filter(|resource| resource.writes_with.provider == "kms-v1")
        .map(|resource| resource.objects)
        .sum();
    let member = loads.first().and_then(Load::largest);
    let objects: u64 = resources.iter().map(|resource| resource.objects).sum();
    let bytes: u64 = resources.iter().map(|resource| resource.bytes).sum();
    RewrapPlan {
        api_version: API_VERSION,
        kind: "RewrapPlan",
        objects,
        bytes,
        kms_calls: inventory.dek_source_count + 2 * (wraps + v1),
        growth_bytes: loads.iter().map(|load| load.growth).sum(),
        db_size: member.map(|member| member.db_size.unsigned_abs()),
        db_quota: member
            .and_then(|member| member.quota)
            .map(i64::unsigned_abs),
        seconds: pace.limits().seconds(objects, bytes),
        warnings: warnings(inventory, loads),
        resources,
    }
}

fn warnings(inventory: &Inventory, loads: &[Load]) -> Vec<String> {
    let mut warnings = Vec::new();
    if !inventory.unreadable.is_empty() {
        warnings.push(format!(
            "{} objects cannot be opened and would stay as they are",
            inventory.unreadable_count()
        ));
    }
    let unknowable = under_kms_v1(inventory);
    if unknowable > 0 {
        warnings.push(format!(
            "{unknowable} objects are under KMS v1, which stores no key id; `run --force-kms-v1` \
             rewrites them too"
        ));
    }
    warnings.extend(loads.iter().flat_map(Load::warnings));
    warnings
}
