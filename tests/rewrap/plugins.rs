//! Plugins that break a rule, hang, lie or die: what is said, how it ends, and that nothing is lost.

mod before;
mod during;
mod reading;

use super::store::{Store, assert_unsaid};
use crate::support::{
    dice::Dice,
    encryption::Provider::{AesCbc, Identity, KmsWithin},
    puppet::{Call, Change, Puppet},
    rewrap::Finished,
};

const VOUCH: &str = "--assume-converged";
const RUN: [&str; 4] = ["--yes", VOUCH, "--max", "--output=json"];

/// A change to what a plugin answers, and what must be said about it.
type Wrong = (Change, &'static str);

/// A plugin, and Secrets under an old key that are to come under it.
struct Scene {
    puppet: Puppet,
    store: Store,
}

impl Scene {
    fn new(secrets: usize) -> Self {
        let puppet = Puppet::start();
        let store = Store::start(&[Identity]);
        store.fill(secrets, AesCbc("old"), &mut Dice::new());
        let scene = Self { puppet, store };
        scene.configure("10s");
        scene
    }

    /// How long a call to the plugin may take.
    fn configure(&self, timeout: &str) {
        let socket = self.puppet.socket();
        self.store.configure(&[
            KmsWithin("puppet", &socket, timeout),
            AesCbc("old"),
            Identity,
        ]);
    }

    /// The plugin breaks one rule. Gives the time that a call may take: not much where it is withheld,
    /// but enough for the calls before it.
    fn play(&self, change: Change) -> &'static str {
        self.puppet.behave();
        self.puppet.answer(change);
        match self.puppet.withholds() {
            None => "10s",
            Some(Call::Status) => "100ms",
            Some(_) => "1s",
        }
    }

    /// A verb that must end with `code`, name the plugin and what is wrong with it, and leave
    /// everything as it is.
    #[track_caller]
    fn harmless(&self, verb: &str, more: &[&str], code: i32, wrong: &str) -> Finished {
        let finished = self.store.harmless(verb, more, code);
        let socket = self.puppet.socket();
        for words in ["puppet", socket.to_str().unwrap(), wrong] {
            assert!(
                finished.stderr.contains(words),
                "no {words:?} in {finished}"
            );
        }
        assert_unsaid(&finished, &self.puppet.secrets());
        finished
    }

    /// The way out of all of it: the plugin is mended, and the same command does everything.
    fn mended(&self, secrets: usize) {
        self.puppet.behave();
        self.configure("10s");
        let report = self.store.rewrap("run", &RUN).expect(0).json();
        assert_eq!(report["rewrapped"], secrets, "{report:#}");
        self.store.rewrap("verify", &[]).expect(0);
    }
}
