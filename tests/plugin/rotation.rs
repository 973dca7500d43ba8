//! New keyrings by editing the files under a running daemon.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use rustix::process::Signal;
use tonic::Code;

use crate::{
    as_request, encrypt, key_id, opens, refusal,
    support::{
        eventually,
        plugin::{Plugin, Site},
    },
};

#[tokio::test]
async fn a_key_is_rotated_by_editing_the_file_and_a_hangup() {
    let mut site = Site::with_key();
    site.settings = site.settings.replace("50ms", "60m");
    site.configure(&["one"]);
    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let old = encrypt(&mut client).await;

    site.keygen("two");
    site.configure(&["two", "one"]);
    assert_eq!(key_id(&mut client).await, old.key_id, "not asked yet");
    plugin.signal(Signal::HUP);
    plugin.logged(r#""message":"took the keyring of the files","primary":"two""#);
    let new = encrypt(&mut client).await;
    assert_ne!(new.key_id, old.key_id);
    assert_eq!(new.key_id, key_id(&mut client).await);
    assert!(opens(&mut client, &old).await && opens(&mut client, &new).await);

    // The old key under its old id: refused, and the answer is in the message.
    site.configure(&["one", "two"]);
    plugin.signal(Signal::HUP);
    let refused = plugin.logged("refused the changed files");
    assert!(refused.contains("set its `epoch` to 2"), "{refused}");
    assert_eq!(key_id(&mut client).await, new.key_id);

    site.configure(&["one@2", "two"]);
    plugin.signal(Signal::HUP);
    eventually("the third key id", || {
        (plugin.metric("ringfence_reloads_total") == 2.0).then_some(())
    });
    let third = encrypt(&mut client).await;
    assert!(third.key_id != old.key_id && third.key_id != new.key_id);
    for wrapped in [&old, &new, &third] {
        assert!(opens(&mut client, wrapped).await);
    }
}

#[tokio::test]
async fn a_key_is_rotated_by_editing_the_file_alone() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let old = encrypt(&mut client).await;
    site.keygen("two");
    site.configure(&["two", "one"]);
    plugin.logged(r#""primary":"two""#);
    assert_ne!(key_id(&mut client).await, old.key_id);
    assert!(opens(&mut client, &old).await);

    // Retired for good.
    site.configure(&["two"]);
    eventually("the second reload", || {
        (plugin.metric("ringfence_reloads_total") == 2.0).then_some(())
    });
    assert_eq!(
        refusal(&mut client, as_request(&old)).await,
        Code::FailedPrecondition
    );
}

#[tokio::test]
async fn bad_files_keep_the_old_keyring_and_say_so() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    let good = fs::read_to_string(site.config()).unwrap();
    site.keygen("two");
    let key = fs::read(site.key_file("two")).unwrap();
    let one = fs::read(site.key_file("one")).unwrap();

    type Damage<'a> = (&'a str, &'a dyn Fn());
    let two_and_one = || site.configure(&["two", "one"]);
    let damages: [Damage<'_>; 6] = [
        ("the field `keks` is missing", &|| {
            site.write_config(&site.settings)
        }),
        ("`context` changed", &|| {
            site.write_config(&good.replace("context: test", "context: other"))
        }),
        ("cannot read", &|| fs::remove_file(site.config()).unwrap()),
        ("20 bytes are neither a key", &|| {
            fs::write(site.key_file("two"), &key[..20]).unwrap();
            two_and_one();
        }),
        ("is open to others", &|| {
            fs::set_permissions(site.key_file("two"), Permissions::from_mode(0o644)).unwrap();
            fs::write(site.key_file("two"), &key).unwrap();
        }),
        ("are the same key", &|| {
            fs::write(site.key_file("two"), &one).unwrap();
            fs::set_permissions(site.key_file("two"), Permissions::from_mode(0o600)).unwrap();
        }),
    ];
    for (failures, (message, damage)) in (1..).zip(damages) {
        damage();
        let refused = plugin.logged(message);
        assert!(
            refused.contains("the old keyring stays in use"),
            "{refused}"
        );
        eventually(message, || {
            (plugin.metric("ringfence_reload_failures_total") >= f64::from(failures)).then_some(())
        });
        assert_eq!(
            plugin.metric("ringfence_config_last_reload_successful"),
            0.0
        );
        assert_eq!(key_id(&mut client).await, wrapped.key_id);
        assert!(opens(&mut client, &wrapped).await);
    }

    // The half-written key gets its other half; nobody touches the configuration again.
    fs::write(site.key_file("two"), &key).unwrap();
    plugin.logged(r#""primary":"two""#);
    eventually("a good reload", || {
        (plugin.metric("ringfence_config_last_reload_successful") == 1.0).then_some(())
    });
    assert_ne!(key_id(&mut client).await, wrapped.key_id);
}
