//! A key that was deleted and made again under its old name.

use super::*;

#[tokio::test(start_paused = true)]
async fn nothing_is_written_under_what_no_root_opens() {
    let root = Puppet::new(1);
    let under_roots = Machine::new().ready(&[("r", &root)]).await;
    let lost = under_roots.wrap(dek()).await.unwrap();
    root.replace();
    until(|| root.count("wrap") == 2).await;
    until(|| under_roots.held() == 2).await;
    let new = under_roots.wrap(dek()).await.unwrap();
    assert_eq!(under_roots.phase(), Phase::Serving);
    let elsewhere = Machine::new().ready(&[("r", &root)]).await;
    opens(&elsewhere, &new).await.unwrap();
    // For as long as it is in memory.
    opens(&under_roots, &lost).await.unwrap();

    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(root.count("wrap"), 3, "one there, two here");
}

#[tokio::test(start_paused = true)]
async fn what_another_root_opens_is_not_lost() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let under_roots = Machine::new().ready(&[("one", &one), ("two", &two)]).await;
    until(|| under_roots.current().unwrap().versions().count() == 2).await;
    let before = under_roots.current();
    one.replace();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(under_roots.current(), before);
    assert!(one.count("unwrap") < 30, "it is asked as often as ever");
}
