//! Our own plugin keeps the contract.

use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use crate::{
    contract::{Target, check},
    support::plugin::{Plugin, Site},
};

#[tokio::test]
async fn ringfence_keeps_the_contract() {
    let site = Arc::new(Site::with_key());
    let plugin = Arc::new(Mutex::new(Plugin::start(&site)));
    let mut target = Target::new(site.socket());
    let (rotating, rotated) = (Arc::clone(&site), Arc::clone(&plugin));
    target.rotate = Some(Arc::new(move || {
        rotating.keygen("two");
        rotating.configure(&["two", "one"]);
        rotated.lock().unwrap().signal(Signal::HUP);
        Ok(())
    }));
    target.restart = Some(Arc::new(move || {
        let mut plugin = plugin.lock().unwrap();
        plugin.signal(Signal::KILL);
        plugin.wait();
        *plugin = Plugin::start(&site);
        Ok(())
    }));

    let report = check(&target, |tried| println!("{tried}")).await;
    println!("{report}");
    assert_eq!(report.failed(), [""; 0]);
    assert_eq!(report.not_run(), []);
}
