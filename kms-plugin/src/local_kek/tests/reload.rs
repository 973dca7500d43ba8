//! Roots that are tried beside those in use.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_tried_and_wiped_leaves_what_is_in_use_alone() {
    let (root, other) = (Puppet::new(1), Puppet::new(2));
    let mut machine = Machine::new();
    machine.copies = Some([9; 32]);
    let state = Arc::new(StateDir::open(&machine.path().join("state")).unwrap());
    let in_use = machine.start_beside(None, Arc::clone(&state), &[("r", &root)]);
    in_use.ready().await;
    let foreign = Machine::new().ready(&[("r", &root)]).await;
    let foreign = foreign.wrap(dek()).await.unwrap();
    opens(&in_use, &foreign).await.unwrap();
    assert_eq!(in_use.held(), 2);

    other.set(Mood::Refusing);
    let tried = machine.start_beside(Some(&in_use), state, &[("other", &other)]);
    assert_eq!(tried.held(), 2, "nothing is asked for again");
    until(|| matches!(tried.phase(), Phase::Refused(_))).await;
    until(|| tried.held() == 0).await;
    drop(tried);
    assert!(machine.path().join("state/sealed").exists());
    root.set(Mood::Silent);
    opens(&in_use, &foreign).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_root_under_other_settings_is_tried_at_once() {
    let root = Puppet::new(1);
    let machine = Machine::new();
    let state = Arc::new(StateDir::open(&machine.path().join("state")).unwrap());
    let in_use = machine.start_beside(None, Arc::clone(&state), &[("r", &root)]);
    in_use.ready().await;
    let begun = tokio::time::Instant::now();
    let tried = machine.start_beside(Some(&in_use), Arc::clone(&state), &[("r", &root)]);
    tried.ready().await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(tried.current(), in_use.current());

    // That it says which version it has is not enough to be well.
    root.set(Mood::TellsOnly);
    let worse = machine.start_beside(Some(&tried), state, &[("r", &root)]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!matches!(worse.phase(), Phase::Serving));
}
