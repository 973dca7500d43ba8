//! AES-CBC authenticates nothing, so kube-apiserver may take what a wrong key yields for the object.
//! `rewrap` takes nothing for it but the object of that etcd key, and goes on to the next key.

use aes::Aes256;
use cbc::{
    Decryptor,
    cipher::{BlockModeDecrypt, KeyIvInit, block_padding::NoPadding},
};

use crate::{
    agreement::Object,
    cluster::Cluster,
    kinds::{self, create_namespace},
    step,
    support::{
        apiserver::Release,
        encryption::{Entry, Key, Local::AesCbc, Provider::Local, secret},
    },
};

/// More objects than it ever takes until a wrong key passes the padding of one: it does so once in
/// 256 times.
const MANY: usize = 5000;

const NEW: Key<'_> = Key::new("new");
/// Another key under the same name.
const OLD: Key<'_> = Key::with("new", "old");

const SHORT: Key<'_> = Key::new("a");
/// The same key under a name that begins like the other; what follows in a value fills one block.
const LONG: Key<'_> = Key::with("a:0123456789abcde", "a");

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn what_kube_apiserver_misreads_is_opened_and_mended() {
    what_kube_apiserver_misreads_is_opened_and_mended_on(Release::NEWEST);
}

pub(super) fn what_kube_apiserver_misreads_is_opened_and_mended_on(release: Release) {
    let mut cluster = Cluster::of(release, &[]);
    cluster.restart();
    let kube = cluster.kube();
    create_namespace(&kube, "misread");
    let (chance, names) = (kinds::CONTROLLER_REVISIONS, kinds::POD_TEMPLATES);
    let configure = |by_chance: &[Key<'_>], by_name: &[Key<'_>]| {
        let entries: [Entry<'_>; 2] = [
            (&[chance.resource], &[Local(AesCbc, by_chance)]),
            (&[names.resource], &[Local(AesCbc, by_name)]),
        ];
        cluster.write_entries(&entries);
        cluster.wait_for_reload();
    };

    step("values that the next configuration misreads");
    configure(&[OLD], &[LONG, SHORT]);
    let by_name = names.create(&kube, "misread", "by-name");
    let mut right = Vec::new();
    let by_chance = (0..MANY).find_map(|number| {
        let object = chance.create(&kube, "misread", &format!("revision-{number}"));
        let key = format!("/registry/controllerrevisions/misread/revision-{number}");
        let passes = passes_padding_under_new(&cluster.etcd.get(&key).unwrap().0);
        if !passes {
            right.push(object.clone());
        }
        passes.then_some(object)
    });
    let by_chance = by_chance.expect("no object whose padding the wrong key passes");
    eprintln!("1 of {} by chance", right.len() + 1);

    step("the apiserver takes garbage for them");
    configure(&[NEW, OLD], &[SHORT, LONG]);
    let status = |object: &Object| match kube.get(&object.path) {
        Ok(_) => 200,
        Err(error) => error.status.unwrap_or_else(|| panic!("{error}")),
    };
    for object in [&by_name, &by_chance] {
        assert_eq!(status(object), 500, "{object:?}");
        assert_eq!(cluster.look(object)["state"], "stale", "{object:?}");
    }
    for object in &right {
        assert_eq!(status(object), 200, "{object:?}");
    }
    for kind in [&chance, &names] {
        let row = &cluster.status(&["--resource", kind.resource])["resources"][0];
        assert_eq!(
            (&row["stale"], &row["unreadable"]),
            (&row["total"], &0.into())
        );
    }

    step("nothing is written that an apiserver cannot read before, unless somebody says so");
    let proof = cluster.rewrap_run_with(&[], &["--resource", names.resource]);
    let words = "cannot read /registry/podtemplates/misread/by-name even before this run";
    assert!(proof.stderr.contains(words), "{proof}");
    proof.expect(5);
    assert_eq!(status(&by_name), 500);
    let run = ["--yes", "--assume-converged", "--output=json"];
    let report = cluster.rewrap("run", &run).expect(0).json();
    assert_eq!(report["rewrapped"], right.len() + 2, "{report:#}");
    cluster.rewrap("verify", &[]).expect(0);

    step("the apiserver reads them again");
    for object in right.iter().chain([&by_name, &by_chance]) {
        assert!(!cluster.agrees_is_stale(object), "{object:?}");
    }
}

/// What kube-apiserver finds out about a value and a key
/// (`k8s.io/apiserver/pkg/storage/value/encrypt/aes/aes.go`).
fn passes_padding_under_new(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"k8s:enc:aescbc:v1:new:").unwrap();
    let (iv, blocks) = body.split_first_chunk::<16>().unwrap();
    let plaintext = Decryptor::<Aes256>::new(&secret(NEW.secret).into(), &(*iv).into())
        .decrypt_padded_vec::<NoPadding>(blocks)
        .unwrap();
    let padding = *plaintext.last().unwrap();
    let rest = plaintext.len().checked_sub(padding.into());
    padding > 0 && rest.is_some_and(|at| plaintext[at..].iter().all(|byte| *byte == padding))
}
