//! The first writes are read back before there are more.

use super::store::Store;
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, AesGcm, Identity},
    etcd::liar::{Liar, Lie},
};

#[test]
fn a_store_that_forgets_is_found_out_at_the_first_object() {
    let store = Store::start(&[AesGcm("new"), AesCbc("old"), Identity]);
    let before = store.fill(20, AesCbc("old"), &mut Dice::new());
    let liar = Liar::start(&store.etcd, Lie::Forgets);
    let flags = [
        "--yes",
        "--assume-converged",
        "--no-lock",
        "--output=json",
        &format!("--endpoints={}", liar.endpoint()),
    ];
    let ended = store.rewrap("run", &flags).expect(5);
    assert_eq!(ended.json()["rewrapped"], 1, "{ended}");
    assert!(
        ended
            .stderr
            .contains("was read back after it was written, and etcd still has the value before"),
        "{ended}"
    );
    assert_eq!(store.opened().0, before);
}
