//! A control plane that outlives the outages of its root: a real apiserver, the plugin with a root in a real
//! Vault, and everything that can be wrong with a server.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{LIMIT, Scene, wait_until_content};
use crate::{
    step,
    support::{
        apiserver::Release,
        gatehouse::{Gate, Gatehouse},
        plugin::{Plugin, Site},
        rewrap, server,
        vault::{POLICY, Vault},
        within,
    },
};

/// Longer than an apiserver writes on without a good Status: 9 s and a poll of 3 s with fast clocks, 180 s and
/// 60 s as released (`make conformance-all`).
fn expiry() -> Duration {
    let has_fast_clocks = server::binary("kube-apiserver-fast")
        .file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with("-fast"));
    Duration::from_secs(if has_fast_clocks { 14 } else { 250 })
}
const DENIED: &str = r#"path "transit/keys/k8s" { capabilities = ["read"] }"#;

/// A Vault behind a gatehouse, and a plugin's site with a root in it.
struct Outage {
    vault: Vault,
    gatehouse: Gatehouse,
    site: Site,
}

impl Outage {
    /// `more` stands in the configuration before `roots`.
    fn begin(more: &str) -> Self {
        let vault = Vault::start();
        vault.create_key("k8s", json!({}));
        vault.policy("plugin", POLICY);
        let gatehouse = Gatehouse::start(vault.port());
        let site = Site::new();
        let this = Self {
            vault,
            gatehouse,
            site,
        };
        this.log_in("1h");
        this.configure(more);
        this
    }

    /// A token for the plugin that lives for so long, whatever it does.
    fn log_in(&self, ttl: &str) {
        self.site
            .write_secret("token", &self.vault.token("plugin", ttl));
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "{}stateDirectory: {}\n{more}roots:\n- name: vault\n  vault: {{addresses: [\"{}\"], key: k8s, auth: {{tokenFile: {}}}}}\nkeks:\n- {{name: main, wrapWith: [vault]}}\n",
            self.site.settings,
            self.site.path("state").display(),
            self.gatehouse.endpoint(),
            self.site.path("token").display(),
        );
        self.site.write_config(&text);
    }

    fn plugin(&self) -> Plugin {
        Plugin::start(&self.site)
    }

    /// What `kms-plugin status` says.
    fn status(&self) -> Value {
        let socket = self.site.socket();
        let socket = socket.to_str().unwrap();
        let output =
            crate::support::plugin::kms_plugin(&["status", "-o", "json", "--socket", socket])
                .output()
                .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn becomes(&self, state: &str) {
        within(LIMIT, state, || {
            (self.status()["state"] == state).then_some(())
        });
    }
}

impl Scene {
    /// Creates, updates and reads Secrets for so long; nothing may fail.
    #[track_caller]
    fn works_for(&mut self, time: Duration, name: &str) {
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < time {
            self.put(&format!("{name}-{}", rounds % 20)).unwrap();
            self.read_back();
            rounds += 1;
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Scene {
    /// Works through a trouble at the gate, and after it.
    #[track_caller]
    fn bears(&mut self, outage: &Outage, what: &str, gate: Gate) {
        step(what);
        outage.gatehouse.set(gate);
        outage.becomes("degraded");
        self.works_for(expiry(), what);
        outage.gatehouse.set(Gate::Open);
        outage.becomes("serving");
    }
}

#[test]
#[ignore = "needs kube-apiserver and Vault: make conformance"]
fn no_trouble_of_the_root_is_felt_by_the_control_plane() {
    let mut outage = Outage::begin("");
    let plugin = outage.plugin();
    outage.becomes("serving");
    let mut scene = Scene::begin(Release::NEWEST, &outage.site.socket());
    scene.fill("secret", 20);

    step("Vault is killed, and the apiserver starts cold beside a warm plugin");
    outage.vault.kill();
    outage.becomes("degraded");
    scene.works_for(expiry(), "killed");
    scene.cluster.restart();
    scene.kube = scene.cluster.kube();
    scene.read_back();
    scene.works_for(Duration::from_secs(1), "cold");
    wait_until_content(&scene.kube);
    let degraded = r#"ringfence_state{state="degraded"}"#;
    assert_eq!(plugin.metric(degraded), 1.0);
    assert_eq!(plugin.get("/readyz").0, 200);
    outage.vault.restart();
    outage.becomes("serving");

    step("Vault is sealed");
    outage.vault.seal();
    outage.becomes("degraded");
    scene.works_for(expiry(), "sealed");
    outage.vault.unseal();
    outage.becomes("serving");

    scene.bears(&outage, "black-holed", Gate::BlackHole);
    scene.bears(&outage, "throttling", Gate::Answers(429));
    assert_eq!(plugin.metric(degraded), 0.0);
    assert_eq!(scene.counted("current"), scene.secrets.len() as u64);
}

/// What else a server or what stands before it may do; each takes as long as an apiserver's patience.
pub(crate) fn no_other_trouble_is_felt_either() {
    let outage = Outage::begin("");
    let _plugin = outage.plugin();
    outage.becomes("serving");
    let mut scene = Scene::begin(Release::NEWEST, &outage.site.socket());
    scene.fill("secret", 20);
    scene.bears(&outage, "slow", Gate::Slow(Duration::from_secs(10)));
    scene.bears(&outage, "failing", Gate::Answers(502));
    scene.bears(&outage, "no-http", Gate::Garbage);
    scene.bears(&outage, "another-page", Gate::Portal);
}

#[test]
#[ignore = "needs kube-apiserver and Vault: make conformance"]
fn a_plugin_restarted_in_an_outage_keeps_a_warm_apiserver_going() {
    let mut outage = Outage::begin("");
    let plugin = outage.plugin();
    outage.becomes("serving");
    let mut scene = Scene::begin(Release::NEWEST, &outage.site.socket());
    let source = scene.fill("secret", 20);
    outage.vault.kill();

    step("the plugin starts anew: the apiserver writes on under the key id it knows");
    end(plugin);
    let plugin = outage.plugin();
    scene.works_for(expiry(), "warm");
    assert_eq!(scene.dek_source("warm-0"), source);
    assert_eq!(outage.status()["state"], "starting");

    step("both cold and no copy: a clear error, and healthy by itself when Vault is back");
    let encryption = scene.cluster.encryption();
    scene.cluster.apiserver.restart_without_plugins(&encryption);
    scene.kube = scene.cluster.kube();
    let refusal = scene
        .kube
        .get("/api/v1/namespaces/default/secrets/secret-0");
    assert_eq!(refusal.unwrap_err().status, Some(500));
    let complaint = scene.complaint();
    assert!(complaint.contains("vault"), "{complaint}");
    assert_explained(&complaint, "no local KEK yet");
    outage.vault.restart();
    wait_until_content(&scene.kube);
    within(LIMIT, "a write succeeds", || scene.put("back").ok());
    scene.read_back();
    drop(plugin);
}

#[test]
#[ignore = "needs kube-apiserver and Vault: make conformance"]
fn a_sealed_copy_starts_everything_while_the_root_is_away() {
    let mut outage = Outage::begin("");
    outage.site.keygen("copies");
    let copies = outage.site.key_file("copies");
    outage.configure(&format!(
        "sealedCopies: {{keyFile: {}}}\n",
        copies.display()
    ));
    let plugin = outage.plugin();
    outage.becomes("serving");
    let mut scene = Scene::begin(Release::NEWEST, &outage.site.socket());
    scene.fill("secret", 20);
    within(LIMIT, "the contact is kept", || {
        outage
            .site
            .path("state/contacts.json")
            .exists()
            .then_some(())
    });
    outage.vault.kill();
    end(plugin);

    let _plugin = outage.plugin();
    outage.becomes("degraded");
    scene.cluster.restart();
    scene.kube = scene.cluster.kube();
    scene.read_back();
    scene.works_for(expiry(), "copies");
}

#[test]
#[ignore = "needs kube-apiserver and Vault: make conformance"]
fn a_revocation_stops_writes_and_an_expired_token_does_not() {
    let outage = Outage::begin("");
    outage.log_in("8s");
    let plugin = outage.plugin();
    outage.becomes("serving");
    let mut scene = Scene::begin(Release::NEWEST, &outage.site.socket());
    scene.fill("secret", 5);

    step("the token expires: that is no revocation");
    outage.becomes("degraded");
    // Longer than refusals take to be a revocation.
    scene.works_for(Duration::from_secs(40), "expired");
    assert_eq!(outage.status()["state"], "degraded");
    outage.log_in("1h");
    outage.becomes("serving");

    step("the permission is revoked");
    outage.vault.policy("plugin", DENIED);
    let revoked = Instant::now();
    outage.becomes("refused");
    // The schedule allows a minute; half of one more is for a machine with other work.
    let took = revoked.elapsed();
    assert!(
        took > Duration::from_secs(29),
        "not after one refusal: {took:?}"
    );
    assert!(took < Duration::from_secs(90), "{took:?}");
    assert_eq!(plugin.get("/readyz").0, 503);
    let refusal = within(LIMIT, "a write is refused", || scene.put("late").err());
    assert_eq!(refusal.status, Some(500), "{refusal}");
    let complaint = scene.complaint();
    assert!(complaint.contains("refused"), "{complaint}");
    assert_explained(&complaint, "a revocation");
    // What the apiserver holds decrypted stays readable until it starts anew.
    scene.read_back();

    step("access is given back");
    outage.vault.policy("plugin", POLICY);
    outage.becomes("serving");
    within(LIMIT, "a write succeeds", || scene.put("back").ok());
    wait_until_content(&scene.kube);
    scene.read_back();
}

#[test]
#[ignore = "needs kube-apiserver and Vault: make conformance"]
fn without_grace_an_outage_is_the_cliff_it_is_elsewhere() {
    let mut outage = Outage::begin("offlineGrace: 0s\n");
    let _plugin = outage.plugin();
    outage.becomes("serving");
    let mut scene = Scene::begin(Release::NEWEST, &outage.site.socket());
    scene.fill("secret", 5);
    outage.vault.kill();
    outage.becomes("refused");
    let reason = outage.status()["reason"].to_string();
    let refusal = within(LIMIT, "a write is refused", || scene.put("late").err());
    assert_eq!(refusal.status, Some(500), "{refusal}: {reason}");
    scene.read_back();
    outage.vault.restart();
    outage.becomes("serving");
    within(LIMIT, "a write succeeds", || scene.put("back").ok());
}

/// `rewrap explain` knows the words of the plugin out of the apiserver's mouth.
#[track_caller]
fn assert_explained(complaint: &str, means: &str) {
    let output = rewrap::command(["explain", complaint]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(means), "{complaint}: {said}");
}

fn end(mut plugin: Plugin) {
    plugin.signal(Signal::KILL);
    plugin.wait();
}
