//! What ends a root's silence, and what does not.

use super::*;
use crate::{
    local_kek::{
        guarded::{Guarded, Patience},
        outage::Standing,
    },
    root::remote::{RemoteRoot, RootError},
};

/// A root that answers, and does not unwrap: it is as good as away.
#[tokio::test(start_paused = true)]
async fn telling_of_a_key_renews_no_grace() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.grace = Duration::from_secs(600);
    let under_roots = machine.ready(&[("r", &root)]).await;
    root.set(Mood::TellsOnly);
    let since = tokio::time::Instant::now();
    until(|| matches!(under_roots.phase(), Phase::GraceOver(_))).await;
    assert!(since.elapsed() <= machine.grace + Duration::from_secs(1));
    root.set(Mood::Well);
    under_roots.ready().await;
}

#[tokio::test(start_paused = true)]
async fn wrapping_without_unwrapping_renews_no_grace() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let mut machine = Machine::new();
    machine.grace = Duration::from_secs(600);
    two.set(Mood::Forgetful);
    let under_roots = machine.ready(&[("one", &one), ("two", &two)]).await;
    until(|| two.count("wrap") > 0).await;
    one.set(Mood::TellsOnly);
    let since = tokio::time::Instant::now();
    until(|| matches!(under_roots.phase(), Phase::GraceOver(_))).await;
    assert!(since.elapsed() <= machine.grace + Duration::from_secs(1));
    assert!(two.count("wrap") < 200, "it is left alone in between");
}

/// It cannot be away, and is asked for nothing between two local KEKs but for its version.
#[tokio::test(start_paused = true)]
async fn a_root_that_is_offline_is_always_well() {
    let (one, recovery) = (Puppet::new(1), Puppet::offline(2));
    let roots = [("one", &one), ("recovery", &recovery)];
    let under_roots = Machine::new().ready(&roots).await;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let standing = under_roots.roots()[1].standing(Duration::ZERO);
        assert_eq!(standing, Standing::Good);
    }
}

/// What is plainly none of its own a root refuses without asking anybody.
#[tokio::test(start_paused = true)]
async fn a_forgery_ends_no_silence() {
    let puppet = Puppet::new(1);
    let binding = binding(KekId([5; 16]), "test");
    let kek = KeyMaterial::new(Box::new([3; 32]));
    let wrapped = puppet.wrap(&kek, &binding).await.unwrap();
    let forged = WrappedKek {
        version: wrapped.version.clone(),
        ciphertext: vec![1],
    };
    let root = Guarded::new("r".to_owned(), Box::new(puppet.clone()), None);
    root.unwrap(Patience::Caller, &wrapped, &binding)
        .await
        .unwrap();
    puppet.set(Mood::Silent);
    let silent = root.unwrap(Patience::Caller, &wrapped, &binding).await;
    assert!(matches!(silent, Err(RootError::Unreachable { .. })));
    let since = root.since_contact();
    tokio::time::sleep(Duration::from_secs(20)).await;
    for _ in 0..3 {
        let corrupt = root.unwrap(Patience::Caller, &forged, &binding).await;
        assert!(matches!(corrupt, Err(RootError::Corrupt { .. })));
        assert!(matches!(root.standing(GRACE), Standing::Borne { .. }));
        assert!(root.since_contact() > since);
    }
}

#[tokio::test(start_paused = true)]
async fn a_root_that_is_offline_lends_nobody_its_time() {
    let (one, recovery) = (Puppet::new(1), Puppet::offline(2));
    let roots = [("one", &one), ("recovery", &recovery)];
    let mut machine = Machine::new();
    machine.copies = Some([9; 32]);
    let before = machine.ready(&roots).await;
    stop_known(before, &machine).await;
    let contacts = machine.path().join("state/contacts.json");
    let now = state_dir::unix_now();
    let long_ago = now - 2 * GRACE.as_secs();
    let ages = serde_json::json!({"one": long_ago, "recovery": now});
    std::fs::write(&contacts, ages.to_string()).unwrap();
    let current = machine.path().join("state/current.json");
    let uses = std::fs::read(&current).unwrap();

    one.set(Mood::Silent);
    let calls = one.count("version");
    let after = machine.start(&roots);
    until(|| one.count("version") > calls).await;
    assert!(matches!(after.phase(), Phase::GraceOver(_)));
    // Whatever begins to wrap says so there.
    assert_eq!(std::fs::read(&current).unwrap(), uses);
}

#[tokio::test(start_paused = true)]
async fn silence_is_served_through_for_the_grace_and_no_longer() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.grace = Duration::from_secs(600);
    let under_roots = machine.ready(&[("r", &root)]).await;
    let wrapped = under_roots.wrap(dek()).await.unwrap();
    root.set(Mood::Silent);
    // A caller finds out before the keeper does.
    let foreign = Machine::new().ready(&[("o", &Puppet::new(2))]).await;
    let foreign = foreign.wrap(dek()).await.unwrap();
    assert!(matches!(
        under_roots.unwrap(&foreign).await,
        Err(KekError::Root(_))
    ));
    assert!(matches!(under_roots.phase(), Phase::Degraded { .. }));
    opens(&under_roots, &wrapped).await.unwrap();
    assert_eq!(under_roots.key_id().unwrap(), wrapped.key_id);

    until(|| matches!(under_roots.phase(), Phase::GraceOver(_))).await;
    let error = under_roots.unwrap(&wrapped).await.unwrap_err();
    assert!(
        error.to_string().contains("offlineGrace is over"),
        "{error}"
    );
    assert!(under_roots.wrap(dek()).await.is_err());
    assert!(under_roots.key_id().is_err());
}

#[tokio::test(start_paused = true)]
async fn without_grace_the_first_silence_stops() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.grace = Duration::ZERO;
    let under_roots = machine.ready(&[("r", &root)]).await;
    let foreign = Machine::new().ready(&[("o", &Puppet::new(2))]).await;
    let foreign = foreign.wrap(dek()).await.unwrap();
    root.set(Mood::Silent);
    let _ = under_roots.unwrap(&foreign).await;
    assert!(matches!(
        under_roots.key_id(),
        Err(Unavailable::GraceOver(_))
    ));
    root.set(Mood::Well);
    under_roots.ready().await;
    under_roots.wrap(dek()).await.unwrap();
}
