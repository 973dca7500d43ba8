//! When another local KEK wraps.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_new_version_of_the_roots_key_is_a_new_local_kek_under_another_id() {
    let root = Puppet::new(1);
    let machine = Machine::new();
    let under_roots = machine.ready(&[("r", &root)]).await;
    let old = under_roots.wrap(dek()).await.unwrap();
    root.rotate();
    until(|| under_roots.key_id().unwrap() != old.key_id).await;
    let new = under_roots.wrap(dek()).await.unwrap();
    assert_eq!(new.key_id, under_roots.key_id().unwrap());
    opens(&under_roots, &old).await.unwrap();
    opens(&under_roots, &new).await.unwrap();

    // Nor does the old id come back when all had to be wiped.
    root.set(Mood::Refusing);
    until(|| under_roots.key_id().is_err()).await;
    root.set(Mood::Well);
    until(|| under_roots.key_id().is_ok()).await;
    assert_eq!(under_roots.key_id().unwrap(), new.key_id);
}

#[tokio::test(start_paused = true)]
async fn a_local_kek_that_is_old_or_used_up_wraps_no_more() {
    const DAY: u64 = 24 * 3600;
    for (field, spent) in [
        ("madeAt", state_dir::unix_now() - 8 * DAY),
        ("uses", 1 << 21),
    ] {
        let root = Puppet::new(1);
        let machine = Machine::new();
        let before = machine.ready(&[("r", &root)]).await;
        let old = before.wrap(dek()).await.unwrap();
        stop(before, &machine).await;
        let file = machine.path().join("state/current.json");
        let text = std::fs::read_to_string(&file).unwrap();
        let mut current: serde_json::Value = serde_json::from_str(&text).unwrap();
        current[field] = spent.into();
        std::fs::write(&file, current.to_string()).unwrap();

        let after = machine.ready(&[("r", &root)]).await;
        until(|| root.count("wrap") == 2).await;
        until(|| after.held() == 2).await;
        let new = after.wrap(dek()).await.unwrap();
        assert_eq!(new.key_id, old.key_id, "the id is that of the root's key");
        assert_ne!(new.annotations, old.annotations, "{field}");
        opens(&after, &old).await.unwrap();
    }
}
