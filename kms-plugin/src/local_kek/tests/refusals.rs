//! What a root refuses: its key, or no more than one version of it.

use super::*;

/// Makes a machine's daemon see local KEKs of three versions, and one of another machine.
async fn with_a_past(root: &Puppet, machine: &Machine) -> [EncryptedDekSource; 4] {
    let foreign = Machine::new().ready(&[("r", root)]).await;
    let foreign = foreign.wrap(dek()).await.unwrap();
    let under_roots = machine.ready(&[("r", root)]).await;
    opens(&under_roots, &foreign).await.unwrap();
    let keks = machine.path().join("state/keks");
    until(|| std::fs::read_dir(&keks).unwrap().count() == 2).await;
    let mut wrapped = vec![foreign, under_roots.wrap(dek()).await.unwrap()];
    for _ in 0..2 {
        let before = under_roots.key_id().unwrap();
        root.rotate();
        until(|| under_roots.key_id().unwrap() != before).await;
        wrapped.push(under_roots.wrap(dek()).await.unwrap());
    }
    stop(under_roots, machine).await;
    wrapped.try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_retired_stands_in_nobodys_way() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    let [foreign, first, second, third] = with_a_past(&root, &machine).await;
    root.retire(2);

    // Strict: the first refusal of the key itself would stop it.
    machine.grace = Duration::ZERO;
    let after = machine.ready(&[("r", &root)]).await;
    until(|| after.held() == 3).await;
    let error = opens(&after, &second).await.unwrap_err();
    assert!(error.to_string().contains("is retired"), "{error}");
    assert_eq!(after.phase(), Phase::Serving);
    for wrapped in [&foreign, &first, &third] {
        opens(&after, wrapped).await.unwrap();
    }

    let before = root.count("unwrap");
    tokio::time::sleep(Duration::from_secs(90)).await;
    let asked = root.count("unwrap") - before;
    assert!(asked <= 6, "{asked} calls in 90 s of rest");
    assert_eq!(after.phase(), Phase::Serving);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_retired_at_once_makes_a_fresh_local_kek() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.grace = Duration::ZERO;
    let under_roots = machine.ready(&[("r", &root)]).await;
    let old = under_roots.key_id().unwrap();
    root.rotate();
    root.retire(1);
    until(|| under_roots.key_id().unwrap() != old).await;
    let new = under_roots.wrap(dek()).await.unwrap();
    let elsewhere = Machine::new();
    opens(&elsewhere.ready(&[("r", &root)]).await, &new)
        .await
        .unwrap();
}

/// A new version and a revocation within one period: nothing that wraps may hide it.
#[tokio::test(start_paused = true)]
async fn a_root_that_wraps_only_is_a_revocation_too() {
    for rotates in [false, true] {
        let root = Puppet::new(1);
        let machine = Machine::new();
        let under_roots = machine.ready(&[("r", &root)]).await;
        root.set(Mood::WrapsOnly);
        if rotates {
            root.rotate();
        }
        let revoked = tokio::time::Instant::now();
        until(|| matches!(under_roots.phase(), Phase::Refused(_))).await;
        assert!(revoked.elapsed() <= Duration::from_secs(60));
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let error = under_roots.key_id().unwrap_err();
            assert!(matches!(error, Unavailable::Refused(_)), "{error:?}");
        }
    }
}

/// From the first refusal on, whatever the jitter: what is left of a minute is for the look before it.
#[tokio::test(start_paused = true)]
async fn a_revocation_is_certain_soon_after_thirty_seconds() {
    let root = Puppet::new(1);
    let under_roots = Machine::new().ready(&[("r", &root)]).await;
    root.set(Mood::Refusing);
    until(|| matches!(under_roots.phase(), Phase::Degraded { .. })).await;
    let first = tokio::time::Instant::now();
    until(|| matches!(under_roots.phase(), Phase::Refused(_))).await;
    assert!(first.elapsed() <= Duration::from_secs(36));

    // From then on it is left alone as ever.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = root.count("unwrap");
    tokio::time::sleep(Duration::from_secs(180)).await;
    let asked = root.count("unwrap") - before;
    assert!(asked <= 25, "{asked} calls in 180 s");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_stops_within_a_minute_and_heals_by_itself() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.copies = Some([9; 32]);
    let under_roots = machine.ready(&[("r", &root)]).await;
    let wrapped = under_roots.wrap(dek()).await.unwrap();
    let sealed = machine.path().join("state/sealed");
    assert!(sealed.exists());

    root.set(Mood::Refusing);
    let revoked = tokio::time::Instant::now();
    until(|| matches!(under_roots.phase(), Phase::Refused(_))).await;
    let took = revoked.elapsed();
    assert!(
        took >= Duration::from_secs(30),
        "one refusal is no revocation: {took:?}"
    );
    assert!(took <= Duration::from_secs(60), "{took:?}");
    assert!(matches!(under_roots.key_id(), Err(Unavailable::Refused(_))));
    let error = under_roots.unwrap(&wrapped).await.unwrap_err();
    assert!(error.to_string().contains("told to refuse"), "{error}");
    until(|| under_roots.held() == 0 && !sealed.exists()).await;

    // A server that goes away meanwhile gives nothing back.
    root.set(Mood::Silent);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(matches!(under_roots.key_id(), Err(Unavailable::Refused(_))));

    root.set(Mood::Well);
    until(|| under_roots.key_id().is_ok()).await;
    assert_eq!(under_roots.key_id().unwrap(), wrapped.key_id);
    opens(&under_roots, &wrapped).await.unwrap();
}
