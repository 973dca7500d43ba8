//! Names, keys and providers that overlap.

use std::slice;

use crate::{
    agreement::Object,
    cluster::Cluster,
    collections::count_everything,
    kinds::{self, Kind, create_namespace},
    step,
    support::{
        apiserver::Release,
        encryption::{
            Key,
            Local::{AesCbc, AesGcm, Secretbox},
            Provider::{self, Identity, KmsV1, Local},
        },
        puppet::Puppet,
    },
};

const NAMESPACE: &str = "keys";

/// What one resource is encrypted with, before and after a change of the configuration: the
/// providers of each entry that names it.
struct Case<'a> {
    kind: Kind,
    before: &'a [&'a [Provider<'a>]],
    after: &'a [&'a [Provider<'a>]],
    /// Whether that makes stale what was written before.
    stale: bool,
}

// A value under `a:b` begins like one under `a`.
const A: Key<'_> = Key::new("a");
const AB: Key<'_> = Key::new("a:b");
const NEW: Key<'_> = Key::new("new");
const OLD: Key<'_> = Key::new("old");
/// The old key under the new one's name.
const OLD_AS_NEW: Key<'_> = Key::with("new", "old");

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn names_keys_and_providers_that_overlap() {
    names_keys_and_providers_that_overlap_on(Release::NEWEST);
}

pub(super) fn names_keys_and_providers_that_overlap_on(release: Release) {
    let puppet = Puppet::start();
    let socket = puppet.socket();
    let gcm_old = Local(AesGcm, &[OLD]);
    let gcm_new = Local(AesGcm, &[NEW]);
    let gcm_old_as_new = Local(AesGcm, &[OLD_AS_NEW]);
    let cbc_old = Local(AesCbc, &[OLD]);
    let cases = [
        // One name is the beginning of another.
        Case {
            kind: kinds::SECRETS,
            before: &[&[Local(AesGcm, &[AB, A])]],
            after: &[&[Local(AesGcm, &[A, AB])]],
            stale: true,
        },
        Case {
            kind: kinds::CONFIG_MAPS,
            before: &[&[Local(AesCbc, &[AB, A])]],
            after: &[&[Local(AesCbc, &[A, AB])]],
            stale: true,
        },
        Case {
            kind: kinds::SERVICE_ACCOUNTS,
            before: &[&[Local(Secretbox, &[AB, A])]],
            after: &[&[Local(Secretbox, &[A, AB])]],
            stale: true,
        },
        Case {
            kind: kinds::POD_TEMPLATES,
            before: &[&[KmsV1("a:b", &socket), KmsV1("a", &socket)]],
            after: &[&[KmsV1("a", &socket), KmsV1("a:b", &socket)]],
            stale: true,
        },
        // Two keys have one name, within a provider and across two.
        Case {
            kind: kinds::LIMIT_RANGES,
            before: &[&[gcm_old_as_new]],
            after: &[&[Local(AesGcm, &[NEW, OLD_AS_NEW])]],
            stale: true,
        },
        Case {
            kind: kinds::RESOURCE_QUOTAS,
            before: &[&[Local(Secretbox, &[OLD_AS_NEW])]],
            after: &[&[Local(Secretbox, &[NEW, OLD_AS_NEW])]],
            stale: true,
        },
        Case {
            kind: kinds::ROLES,
            before: &[&[gcm_old_as_new]],
            after: &[&[gcm_new, gcm_old_as_new]],
            stale: true,
        },
        // One key has two names: the name counts.
        Case {
            kind: kinds::NETWORK_POLICIES,
            before: &[&[gcm_old]],
            after: &[&[Local(AesGcm, &[Key::with("renamed", "old"), OLD])]],
            stale: true,
        },
        // Two providers are of one kind, or one and the same.
        Case {
            kind: kinds::LEASES,
            before: &[&[cbc_old]],
            after: &[&[Local(AesCbc, &[NEW]), cbc_old]],
            stale: true,
        },
        Case {
            kind: kinds::DISRUPTION_BUDGETS,
            before: &[&[gcm_old]],
            after: &[&[gcm_old, gcm_old, gcm_new]],
            stale: false,
        },
        // Plain text may be read in the middle of the list.
        Case {
            kind: kinds::CONTROLLER_REVISIONS,
            before: &[&[cbc_old]],
            after: &[&[gcm_new, Identity, cbc_old]],
            stale: true,
        },
        // A resource in several entries has the providers of all, in the order of the file.
        Case {
            kind: kinds::ENDPOINTS,
            before: &[&[cbc_old, Identity]],
            after: &[&[gcm_new], &[cbc_old, Identity]],
            stale: true,
        },
        Case {
            kind: kinds::DAEMON_SETS,
            before: &[&[gcm_old]],
            after: &[&[gcm_old], &[gcm_new], &[Identity]],
            stale: false,
        },
    ];

    let mut cluster = Cluster::of(release, &["--feature-gates=KMSv1=true"]);
    create_namespace(&cluster.kube(), NAMESPACE);
    step("everything is written as before");
    // A last entry for each lets the apiserver read what was plain text until now.
    let plain = cases.iter().map(|case| (&case.kind, &[Identity][..]));
    start_with(
        &mut cluster,
        entries(&cases, |case| case.before).chain(plain),
    );
    cluster.rewrap_run(&[]).expect(0);
    let ones = create(&cluster, &cases, "one");
    let twos = create(&cluster, &cases, "two");

    step("the configuration changes");
    start_with(&mut cluster, entries(&cases, |case| case.after));
    for (case, one) in cases.iter().zip(&ones) {
        assert_eq!(cluster.agrees_is_stale(one), case.stale, "{one:?}");
    }
    create(&cluster, &cases, "three");
    let stale: Vec<_> = cases
        .iter()
        .zip(&twos)
        .filter(|(case, _)| case.stale)
        .collect();
    for (_, two) in &stale {
        assert_eq!(cluster.look(two)["state"], "stale", "{two:?}");
    }
    let report = cluster.rewrap_run(&[]).expect(0).json();
    assert!(report["rewrapped"].as_u64() >= Some(stale.len() as u64));
    // Of KMS v1 nobody can say that it is current.
    let exclude = format!("--exclude={}", kinds::POD_TEMPLATES.resource);
    cluster.rewrap("verify", &[&exclude]).expect(0);

    step("only what writes is left");
    let writers: Vec<_> = cases.iter().map(|case| [writer(case.after)]).collect();
    let alone = cases.iter().zip(&writers);
    start_with(
        &mut cluster,
        alone.map(|(case, writer)| (&case.kind, &writer[..])),
    );
    for object in ones.iter().chain(&twos) {
        assert!(!cluster.agrees_is_stale(object), "{object:?}");
    }
    count_everything(&cluster.kube());
}

/// The entries of all cases.
fn entries<'a>(
    cases: &'a [Case<'a>],
    of: impl Fn(&'a Case<'a>) -> &'a [&'a [Provider<'a>]],
) -> impl Iterator<Item = (&'a Kind, &'a [Provider<'a>])> {
    cases.iter().flat_map(move |case| {
        let entries = of(case).iter();
        entries.map(move |providers| (&case.kind, *providers))
    })
}

/// Starts the apiserver cold with these entries.
fn start_with<'a>(
    cluster: &mut Cluster,
    entries: impl Iterator<Item = (&'a Kind, &'a [Provider<'a>])>,
) {
    let entry = |(kind, providers): (&'a Kind, _)| (slice::from_ref(&kind.resource), providers);
    cluster.write_entries(&entries.map(entry).collect::<Vec<_>>());
    cluster.restart();
}

/// Creates an object of every case, which must be written as `rewrap` says.
fn create(cluster: &Cluster, cases: &[Case<'_>], name: &str) -> Vec<Object> {
    let kube = cluster.kube();
    let create = |case: &Case<'_>| {
        let object = case.kind.create(&kube, NAMESPACE, name);
        cluster.writes_as_said(&object);
        object
    };
    cases.iter().map(create).collect()
}

/// The provider that writes, with no key but the one that it writes with.
fn writer<'a>(entries: &[&[Provider<'a>]]) -> Provider<'a> {
    match entries[0][0] {
        Local(transformer, keys) => Local(transformer, &keys[..1]),
        provider => provider,
    }
}
