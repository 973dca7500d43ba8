//! From one root to another: an edit, a reload and a `rewrap run` (`docs/roots.md`).

use rustix::process::Signal;
use serde_json::json;

use super::{LIMIT, Scene};
use crate::{
    step,
    support::{
        apiserver::Release,
        moto::Moto,
        plugin::{Plugin, Site},
        vault::{POLICY, Vault},
        within,
    },
};

/// Has the plugin take these roots, of which `wrap_with` wrap.
fn take(plugin: &Plugin, site: &Site, roots: &[&str], wrap_with: &str) {
    let taken = || {
        let log = plugin.log();
        let took = |line: &&String| line.contains("took the keyring of the files");
        log.iter().filter(took).count()
    };
    let before = taken();
    configure(site, roots, wrap_with);
    plugin.signal(Signal::HUP);
    within(LIMIT, "the plugin takes its roots", || {
        (taken() > before).then_some(())
    });
}

fn configure(site: &Site, roots: &[&str], wrap_with: &str) {
    site.write_config(&format!(
        "{}stateDirectory: {}\nroots:\n{}keks:\n- {{name: main, wrapWith: [{wrap_with}]}}\n",
        site.settings,
        site.path("state").display(),
        roots.concat(),
    ));
}

#[test]
#[ignore = "needs kube-apiserver, Vault and moto: make conformance"]
fn from_vault_to_aws_is_an_edit_a_reload_and_a_run() {
    let (vault, moto, site) = (Vault::start(), Moto::start(), Site::new());
    vault.create_key("k8s", json!({}));
    vault.policy("plugin", POLICY);
    site.write_secret("token", &vault.token("plugin", "1h"));
    site.write_secret(
        "credentials",
        "[k8s]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = of-no-use-elsewhere\n",
    );
    let old = format!(
        "- name: vault\n  vault: {{addresses: [\"{}\"], key: k8s, auth: {{tokenFile: {}}}}}\n",
        vault.endpoint(),
        site.path("token").display()
    );
    let new = format!(
        "- name: aws\n  awsKms: {{keyId: \"{}\", endpoint: \"{}\", profile: {{name: k8s, credentialsFile: {}}}}}\n",
        moto.create_key(),
        moto.endpoint(),
        site.path("credentials").display()
    );
    configure(&site, &[&old], "vault");
    let plugin = Plugin::start(&site);
    within(LIMIT, "it serves", || {
        (plugin.get("/readyz").0 == 200).then_some(())
    });
    let mut scene = Scene::begin(Release::NEWEST, &site.socket());
    let before = scene.fill("secret", 30);

    step("both open, the old one wraps");
    take(&plugin, &site, &[&old, &new], "vault");
    assert_eq!(scene.write("between").unwrap(), before);
    step("both wrap: what is stored is stale, and one run brings it under both");
    take(&plugin, &site, &[&old, &new], "vault, aws");
    under_another_key(&mut scene, before.key_id.as_str());
    run(&scene);
    assert_eq!(covered(&scene), [("aws-kms", 32), ("vault", 32)]);
    step("the new one wraps alone");
    let both = scene.write("both").unwrap();
    take(&plugin, &site, &[&old, &new], "aws");
    under_another_key(&mut scene, both.key_id.as_str());
    run(&scene);
    assert_eq!(covered(&scene), [("aws-kms", 33)]);

    step("the old one is gone");
    take(&plugin, &site, &[&new], "aws");
    drop(vault);
    drop(plugin);
    let _plugin = Plugin::start(&site);
    scene.cluster.restart();
    scene.kube = scene.cluster.kube();
    scene.read_back();
}

fn under_another_key(scene: &mut Scene, before: &str) {
    within(LIMIT, "a write goes under another key id", || {
        let source = scene.write("moving").unwrap();
        (source.key_id.as_str() != before).then_some(())
    });
}

fn run(scene: &Scene) {
    scene
        .cluster
        .rewrap("run", &["--assume-converged", "--yes"])
        .expect(0);
    scene.cluster.rewrap("verify", &[]).expect(0);
}

/// The kinds of roots, and how many Secrets each opens.
fn covered(scene: &Scene) -> Vec<(&'static str, u64)> {
    let inventory = scene.cluster.status(&["--resource=secrets"]);
    let roots = inventory["roots"].as_array().unwrap();
    let told = roots.iter().map(|root| {
        let name = root["root"].as_str().unwrap();
        let kind = ["vault", "aws-kms"]
            .into_iter()
            .find(|kind| name.starts_with(kind));
        (kind.unwrap(), root["objects"].as_u64().unwrap())
    });
    told.collect()
}
