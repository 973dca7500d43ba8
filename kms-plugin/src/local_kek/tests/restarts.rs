//! What a daemon finds that was there before.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_restart_unwraps_once_and_wraps_nothing() {
    let root = Puppet::new(1);
    let machine = Machine::new();
    let before = machine.ready(&[("r", &root)]).await;
    let wrapped = before.wrap(dek()).await.unwrap();
    stop(before, &machine).await;
    let (wraps, unwraps) = (root.count("wrap"), root.count("unwrap"));

    let after = machine.ready(&[("r", &root)]).await;
    opens(&after, &wrapped).await.unwrap();
    assert_eq!(after.key_id().unwrap(), wrapped.key_id);
    assert_eq!(root.count("wrap"), wraps);
    assert_eq!(root.count("unwrap"), unwraps + 1);
}

#[tokio::test(start_paused = true)]
async fn all_that_were_ever_seen_are_opened_at_start() {
    let root = Puppet::new(1);
    let (here, there) = (Machine::new(), Machine::new());
    let foreign = there
        .ready(&[("r", &root)])
        .await
        .wrap(dek())
        .await
        .unwrap();
    let before = here.ready(&[("r", &root)]).await;
    opens(&before, &foreign).await.unwrap();
    let keks = here.path().join("state/keks");
    until(|| std::fs::read_dir(&keks).unwrap().count() == 2).await;
    stop(before, &here).await;

    let after = here.ready(&[("r", &root)]).await;
    until(|| after.held() == 2).await;
    root.set(Mood::Silent);
    opens(&after, &foreign).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_start_without_any_root_says_why_and_goes_on_by_itself() {
    let root = Puppet::new(1);
    root.set(Mood::Silent);
    let machine = Machine::new();
    let under_roots = machine.start(&[("r", &root)]);
    until(|| root.count("version") > 1).await;
    let error = under_roots.key_id().unwrap_err();
    assert!(matches!(&error, Unavailable::Starting(_)), "{error:?}");
    assert!(error.to_string().contains("told to be silent"), "{error}");
    assert!(under_roots.wrap(dek()).await.is_err());
    root.set(Mood::Well);
    under_roots.ready().await;
    under_roots.wrap(dek()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_an_outage_answers_the_last_key_id_for_the_grace() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    let before = machine.ready(&[("r", &root)]).await;
    let wrapped = before.wrap(dek()).await.unwrap();
    stop_known(before, &machine).await;
    root.set(Mood::Silent);

    let after = machine.start(&[("r", &root)]);
    assert_eq!(after.key_id().unwrap(), wrapped.key_id);
    until(|| root.count("version") > 2).await;
    assert_eq!(after.key_id().unwrap(), wrapped.key_id);
    assert!(matches!(after.phase(), Phase::Starting(_)));
    assert!(after.wrap(dek()).await.is_err());
    let error = after.unwrap(&wrapped).await.unwrap_err();
    assert!(error.to_string().contains("told to be silent"), "{error}");
    tokio::time::sleep(GRACE).await;
    assert!(after.key_id().is_err());
    stop(after, &machine).await;

    machine.grace = Duration::ZERO;
    let strict = machine.start(&[("r", &root)]);
    assert!(strict.key_id().is_err());
    stop(strict, &machine).await;

    root.set(Mood::Well);
    machine.grace = GRACE;
    let healed = machine.ready(&[("r", &root)]).await;
    opens(&healed, &wrapped).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn sealed_copies_start_a_machine_while_all_are_silent() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.copies = Some([9; 32]);
    let before = machine.ready(&[("r", &root)]).await;
    let wrapped = before.wrap(dek()).await.unwrap();
    stop_known(before, &machine).await;
    root.set(Mood::Silent);

    let after = machine.ready(&[("r", &root)]).await;
    assert!(matches!(after.phase(), Phase::Degraded { .. }));
    opens(&after, &wrapped).await.unwrap();
    assert_eq!(after.key_id().unwrap(), wrapped.key_id);
    stop(after, &machine).await;

    machine.copies = Some([8; 32]);
    let other_key = machine.start(&[("r", &root)]);
    until(|| root.count("version") > 2).await;
    assert!(matches!(other_key.phase(), Phase::Starting(_)));
    stop(other_key, &machine).await;

    machine.copies = Some([9; 32]);
    machine.grace = Duration::ZERO;
    let strict = machine.start(&[("r", &root)]);
    assert!(!matches!(
        strict.phase(),
        Phase::Degraded { .. } | Phase::Serving
    ));
}
