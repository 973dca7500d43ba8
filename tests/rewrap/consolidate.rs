//! What `run --consolidate` leaves: one DEK source, and nothing else touched.

use super::store::Store;
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, Identity, Kms},
    plugin::{Plugin, Site},
};

const RUN: [&str; 4] = ["--yes", "--assume-converged", "--max", "--output=json"];

#[test]
fn many_dek_sources_become_one() {
    let site = Site::with_key();
    let _plugin = Plugin::start(&site);
    let socket = site.socket();
    let store = Store::start(&[Kms("ringfence", &socket), AesCbc("old"), Identity]);
    store.fill(30, AesCbc("old"), &mut Dice::new());
    for _ in 0..3 {
        let flags = [&RUN[..], &["--limit=10"]].concat();
        store.rewrap("run", &flags).expect(0);
    }
    let sources = || {
        let status = store.rewrap("status", &["--output=json"]).expect(0).json();
        status["dekSourceCount"].as_u64().unwrap()
    };
    assert_eq!(sources(), 3);
    let flags = [&RUN[..], &["--consolidate"]].concat();
    let rewritten = || store.rewrap("run", &flags).expect(0).json()["rewrapped"].clone();
    assert_eq!((rewritten(), sources()), (30.into(), 1));
    assert_eq!(
        (rewritten(), sources()),
        (0.into(), 1),
        "there is one already"
    );
    store.rewrap("verify", &[]).expect(0);
}
