//! Every root is gone: `docs/disaster-recovery.md` is done as it stands there.

use std::{fs, process::Command};

use rustix::process::Signal;
use serde_json::json;

use super::Scene;
use crate::{
    step,
    support::{
        apiserver::Release,
        plugin::{Plugin, Site, kms_plugin},
        server,
        vault::{POLICY, Vault},
        within,
    },
};

const PAGE: &str = include_str!("../../../docs/disaster-recovery.md");

/// Who follows the page: what it calls by the paths of a node is in a site of the test.
struct Reader {
    site: Site,
    blocks: Vec<(&'static str, &'static str)>,
    plugin: Option<Plugin>,
}

impl Reader {
    /// The next fenced block of the page.
    fn next(&mut self, language: &str) -> &'static str {
        let (found, text) = self.blocks.remove(0);
        assert_eq!(found, language, "{text}");
        text
    }

    fn here(&self, text: &str) -> String {
        let site = self.site.path("");
        let site = site.to_str().unwrap().trim_end_matches('/');
        text.replace("/etc/kms-plugin", site)
            .replace("/run/recovery.identity", &format!("{site}/memory.identity"))
            .replace(
                " recovery.identity ",
                &format!(" {site}/recovery.identity "),
            )
    }

    /// Does the commands of the next block, one a line.
    fn follow(&mut self, scene: &Scene) {
        for line in self.next("sh").lines() {
            step(line);
            let line = self.here(line);
            let words: Vec<_> = line.split(' ').collect();
            match &words[..] {
                ["systemctl", "stop", "kms-plugin"] => self.stop(),
                ["systemctl", "start", "kms-plugin"] => {
                    self.plugin = Some(Plugin::start(&self.site));
                }
                ["kms-plugin", "recover", arguments @ ..] => {
                    self.plugin = Some(Plugin::start_as(&self.site, "recover", arguments));
                }
                ["kms-plugin", arguments @ ..] => done(&mut kms_plugin(arguments)),
                ["rewrap", verb, flags @ ..] => {
                    scene.cluster.rewrap(verb, flags).expect(0);
                }
                ["install" | "rm", ..] => done(Command::new(words[0]).args(&words[1..])),
                _ => panic!("the page has a command that this test does not know: {line}"),
            }
        }
    }

    /// With the unit go its credentials.
    fn stop(&mut self) {
        if let Some(mut plugin) = self.plugin.take() {
            plugin.signal(Signal::TERM);
            plugin.wait();
        }
        let _ = fs::remove_dir_all(self.site.path("credentials"));
    }

    fn keks(&self, keks: &str) {
        let config = fs::read_to_string(self.site.config()).unwrap();
        let (before, _) = config.split_once("keks:\n").unwrap();
        self.site.write_config(&format!("{before}{keks}"));
    }
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn blocks(page: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut fences = page.split("```");
    fences.next();
    let mut found = Vec::new();
    while let (Some(block), Some(_)) = (fences.next(), fences.next()) {
        found.push(block.split_once('\n').unwrap());
    }
    found
}

#[test]
#[ignore = "needs kube-apiserver, Vault and age: make conformance"]
fn the_page_about_it_brings_everything_back() {
    let vault = Vault::start();
    vault.create_key("k8s", json!({}));
    vault.policy("plugin", POLICY);
    let site = Site::new();
    let identity = site.path("recovery.identity");
    done(
        Command::new(server::binary("age-keygen"))
            .arg("-o")
            .arg(&identity),
    );
    let text = fs::read_to_string(&identity).unwrap();
    let recipient = text
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .unwrap();
    site.write_secret("token", &vault.token("plugin", "1h"));
    fs::create_dir(site.path("keys")).unwrap();
    fs::create_dir(site.path("credentials")).unwrap();
    let copies = site.path("credentials/copies");
    done(kms_plugin(&["keygen"]).arg(&copies));
    site.write_config(&format!(
        "{}stateDirectory: {}
sealedCopies: {{keyFile: {}}}
roots:
- name: vault
  vault: {{addresses: [\"{}\"], key: k8s, auth: {{tokenFile: {}}}}}
- name: recovery
  age: {{recipient: {recipient}}}
keks:
- {{name: main, wrapWith: [vault, recovery]}}
",
        site.settings,
        site.path("state").display(),
        copies.display(),
        vault.endpoint(),
        site.path("token").display(),
    ));
    let plugin = Plugin::start(&site);
    within(super::LIMIT, "it serves", || {
        (plugin.get("/readyz").0 == 200).then_some(())
    });
    let mut scene = Scene::begin(Release::NEWEST, &site.socket());
    scene.fill("secret", 30);
    let inventory = scene.cluster.status(&["--resource=secrets"]);
    let roots = inventory["roots"].as_array().unwrap();
    assert_eq!(roots.len(), 2, "{inventory:#}");
    for root in roots {
        assert_eq!(root["objects"], 30, "{root:#}");
    }
    assert_eq!(roots[0]["root"], format!("age:{recipient}"));
    assert_eq!(roots[1]["root"], "vault:transit/k8s");

    step("Vault is gone with all that it had, and so is what the plugin kept");
    drop(vault);
    let mut reader = Reader {
        blocks: blocks(PAGE),
        plugin: Some(plugin),
        site,
    };
    scene.cluster.apiserver.kill();
    reader.stop();
    fs::remove_dir_all(reader.site.path("state")).unwrap();

    reader.follow(&scene);
    scene.cluster.restart();
    scene.kube = scene.cluster.kube();
    scene.read_back();

    reader.follow(&scene);
    let keks = reader.next("yaml");
    reader.keks(&reader.here(keks));
    within(super::LIMIT, "a write goes under the new key", || {
        let source = scene.write("rescued").unwrap();
        source
            .key_id
            .as_str()
            .starts_with("rf-local-")
            .then_some(())
    });
    reader.follow(&scene);
    scene.read_back();

    reader.stop();
    let rescue = reader.site.path("keys/rescue.key");
    reader.site.write_config(&format!(
        "{}keks:\n- {{name: rescue, local: {{keyFile: {}}}}}\n",
        reader.site.settings,
        rescue.display()
    ));
    reader.follow(&scene);
    assert!(reader.blocks.is_empty());
    scene.cluster.restart();
    scene.kube = scene.cluster.kube();
    scene.read_back();
    scene.put("after").unwrap();
}
