//! The daemon itself, with its KEK under a token.

use kms_proto::wire::v2::{DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest};
use rustix::process::Signal;

use super::processes;
use crate::{
    step,
    support::{
        eventually,
        plugin::{Plugin, Site},
        softhsm::{FOR_GCM, LABEL, SoftHsm},
    },
};

const SEED: &[u8; 32] = b"a DEK seed of exactly 32 bytes..";

/// A site whose only KEK is under the token.
fn site(hsm: &SoftHsm) -> Site {
    let mut site = Site::new();
    let config = hsm.config();
    let root = serde_json::json!([{
        "name": "hsm",
        "pkcs11": {
            "module": config.module,
            "tokenLabel": LABEL,
            "keyLabel": LABEL,
            "pinFile": config.pin_file,
            "environment": config.environment,
            "timeout": "2s",
        },
    }]);
    let state = site.path("state");
    site.settings += &format!("stateDirectory: {}\nroots: {root}\n", state.display());
    let keks = "keks: [{name: under-hsm, wrapWith: [hsm]}]\n";
    site.write_config(&(site.settings.clone() + keks));
    site
}

fn becomes(site: &Site, state: &str) {
    eventually(&format!("the daemon is {state}"), || {
        let output = site.run("status");
        let said = String::from_utf8(output.stdout).unwrap();
        said.starts_with(&format!("state     {state}\n"))
            .then_some(())
    });
}

async fn encrypt(plugin: &Plugin) -> EncryptResponse {
    let request = EncryptRequest {
        plaintext: SEED.to_vec(),
        uid: "test".to_owned(),
    };
    plugin
        .client()
        .await
        .encrypt(request)
        .await
        .unwrap()
        .into_inner()
}

async fn opens(plugin: &Plugin, wrapped: &EncryptResponse) {
    let request = DecryptRequest {
        ciphertext: wrapped.ciphertext.clone(),
        uid: "test".to_owned(),
        key_id: wrapped.key_id.clone(),
        annotations: wrapped.annotations.clone(),
    };
    let answer = plugin.client().await.decrypt(request).await.unwrap();
    assert_eq!(answer.get_ref().plaintext, SEED);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_module_that_crashes_or_hangs_never_touches_serving() {
    let hsm = SoftHsm::new();
    hsm.make_key(LABEL, "01", FOR_GCM);
    let module = hsm.config().module;
    let site = site(&hsm);
    let checked = site.run("check");
    assert!(checked.status.success(), "{checked:?}");
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        said.contains("root \"hsm\": ok, wraps and unwraps, pkcs11:"),
        "{said}"
    );

    let mut plugin = Plugin::start(&site);
    becomes(&site, "serving");
    let before = encrypt(&plugin).await;
    opens(&plugin, &before).await;
    assert_eq!(processes(&module).len(), 1);

    for fault in ["crash", "hang"] {
        step(fault);
        hsm.set_faults(&format!("C_FindObjectsInit {fault}"));
        becomes(&site, "degraded");
        let status = plugin
            .client()
            .await
            .status(StatusRequest {})
            .await
            .unwrap();
        assert_eq!(status.get_ref().healthz, "ok");
        assert_eq!(status.get_ref().key_id, before.key_id);
        opens(&plugin, &before).await;
        opens(&plugin, &encrypt(&plugin).await).await;
        hsm.set_faults("");
        becomes(&site, "serving");
    }

    step("started anew");
    plugin.signal(Signal::TERM);
    assert!(plugin.wait().success());
    assert!(processes(&module).is_empty());
    let mut plugin = Plugin::start(&site);
    becomes(&site, "serving");
    opens(&plugin, &before).await;

    step("killed while the module hangs");
    hsm.set_faults("C_FindObjectsInit hang");
    becomes(&site, "degraded");
    eventually("the module hangs", || {
        (!processes(&module).is_empty()).then_some(())
    });
    plugin.signal(Signal::KILL);
    plugin.wait();
    eventually("the module's process dies with the daemon", || {
        processes(&module).is_empty().then_some(())
    });
}
