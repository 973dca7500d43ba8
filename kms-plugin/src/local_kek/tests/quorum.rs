//! Several roots: how many must have wrapped a local KEK, and what one more or one less changes.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_local_kek_of_before_needs_the_quorum_too() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let roots = [("one", &one), ("two", &two)];
    let mut machine = Machine::new();
    machine.copies = Some([9; 32]);
    let alone = machine.ready(&roots[..1]).await;
    let old = alone.wrap(dek()).await.unwrap();
    stop_known(alone, &machine).await;

    machine.quorum = 2;
    two.set(Mood::Silent);
    let both = machine.start(&roots);
    until(|| two.count("version") > 3).await;
    assert!(both.current().is_none());
    assert!(matches!(both.phase(), Phase::Starting(_)));
    opens(&both, &old).await.unwrap();

    two.set(Mood::Well);
    both.ready().await;
    assert_eq!(both.current().unwrap().versions().count(), 2);
    assert_eq!(one.count("wrap"), 1, "it is the same local KEK");
    let new = both.wrap(dek()).await.unwrap();
    stop(both, &machine).await;

    // What both have wrapped goes on without one of them, and with the copy without any.
    two.set(Mood::Silent);
    let restarted = machine.ready(&roots).await;
    assert_eq!(restarted.key_id().unwrap(), new.key_id);
    stop(restarted, &machine).await;
    one.set(Mood::Silent);
    let unsealed = machine.ready(&roots).await;
    assert_eq!(unsealed.wrap(dek()).await.unwrap().key_id, new.key_id);
}

#[tokio::test(start_paused = true)]
async fn another_roots_wrap_does_not_count() {
    let (one, two, three) = (Puppet::new(1), Puppet::of("other", 2), Puppet::new(3));
    let mut machine = Machine::new();
    machine.quorum = 2;
    let before = machine.ready(&[("one", &one), ("three", &three)]).await;
    stop(before, &machine).await;

    // Of the two that wrap now, the first has wrapped it, and a root that is not to wrap any more.
    two.set(Mood::Silent);
    let moved = machine.start(&[("one", &one), ("two", &two)]);
    until(|| two.count("version") > 3).await;
    assert!(moved.current().is_none());
    two.set(Mood::Well);
    moved.ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_root_more_makes_the_id_another_and_a_missing_one_joins_later() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let machine = Machine::new();
    let alone = machine.ready(&[("one", &one)]).await;
    let old = alone.wrap(dek()).await.unwrap();
    stop(alone, &machine).await;

    two.set(Mood::Silent);
    let both = machine.ready(&[("one", &one), ("two", &two)]).await;
    assert_eq!(
        both.key_id().unwrap(),
        old.key_id,
        "nothing new has wrapped"
    );
    two.set(Mood::Well);
    until(|| both.key_id().unwrap() != old.key_id).await;
    let covered = both.wrap(dek()).await.unwrap();
    assert_eq!(both.current().unwrap().versions().count(), 2);
    opens(&both, &old).await.unwrap();
    assert_eq!(one.count("wrap"), 1, "it is the same local KEK");

    // Any one of the two opens it elsewhere.
    for mute in [&one, &two] {
        mute.set(Mood::Silent);
        let elsewhere = Machine::new();
        let node = elsewhere.ready(&[("one", &one), ("two", &two)]).await;
        opens(&node, &covered).await.unwrap();
        mute.set(Mood::Well);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_is_not_met_makes_no_local_kek() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    two.set(Mood::Silent);
    let mut machine = Machine::new();
    machine.quorum = 2;
    let under_roots = machine.start(&[("one", &one), ("two", &two)]);
    until(|| two.count("version") > 2).await;
    assert!(matches!(
        under_roots.key_id(),
        Err(Unavailable::Starting(_))
    ));
    two.set(Mood::Well);
    under_roots.ready().await;
    assert_eq!(under_roots.current().unwrap().versions().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_root_that_is_not_to_wrap_any_more_is_left_out() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let machine = Machine::new();
    let both = machine.ready(&[("one", &one), ("two", &two)]).await;
    until(|| both.current().unwrap().versions().count() == 2).await;
    let old = both.wrap(dek()).await.unwrap();
    stop(both, &machine).await;
    let moved = machine.start(&[("two", &two)]);
    until(|| {
        moved
            .current()
            .is_some_and(|envelope| envelope.versions().count() == 1)
    })
    .await;
    assert_ne!(moved.key_id().unwrap(), old.key_id);
    opens(&moved, &old).await.unwrap();
}
