//! How many roots must have wrapped a local KEK that is gone on with.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_local_kek_of_before_needs_the_quorum_too() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let roots = [("one", &one), ("two", &two)];
    let mut machine = Machine::new();
    machine.copies = Some([9; 32]);
    let alone = machine.ready(&roots[..1]).await;
    let old = alone.wrap(dek()).await.unwrap();
    let contacts = machine.path().join("state/contacts.json");
    until(|| contacts.exists()).await;
    stop(alone, &machine).await;

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
