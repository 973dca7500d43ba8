//! What every root must do, whatever it is.

use std::time::Duration;

use futures_util::future::join_all;
use kms_plugin::root::{
    local::KeyMaterial,
    remote::{Binding, RemoteRoot, RootVersion, WrappedKek},
};

use super::{binding, corrupt, local_kek};
use crate::step;

/// The longest wrapped local KEK, in bytes: it is stored with every object, and all annotations of an object have
/// 512 bytes.
const MAX_CIPHERTEXT: usize = 512;

/// What the suite is told of a root.
pub(crate) struct Subject<'a> {
    /// The root under test.
    pub(crate) root: &'a dyn RemoteRoot,
    /// One of its kind, with another key.
    pub(crate) stranger: &'a dyn RemoteRoot,
    /// The kind that versions must name.
    pub(crate) kind: &'static str,
    /// Gives the key another version. Nothing for a kind that has none.
    pub(crate) rotate: Option<&'a mut dyn FnMut()>,
    /// Of a ciphertext, each so many-th byte is flipped: 1 where a call is cheap.
    pub(crate) flip_every: usize,
    /// How many calls are made at a time.
    pub(crate) at_once: usize,
}

/// Puts a root to the test. Whatever it does wrong panics.
pub(crate) async fn conforms(subject: Subject<'_>) {
    let Subject {
        root,
        stranger,
        kind,
        rotate,
        flip_every,
        at_once,
    } = subject;
    let kek = local_kek();
    let here = binding("prod-eu1");

    step("a version is named alike each time, and by the wrap that used it");
    let version = root.version().await.unwrap();
    assert_eq!(version.kind(), kind);
    assert_eq!(root.version().await.unwrap(), version);
    let wrapped = root.wrap(&kek, &here).await.unwrap();
    assert_eq!(wrapped.version, version);
    assert_ne!(stranger.version().await.unwrap().key(), version.key());

    step("what was wrapped opens, and two wraps differ");
    opens(root, &wrapped, &here, &kek).await;
    let again = root.wrap(&kek, &here).await.unwrap();
    assert_ne!(again.ciphertext, wrapped.ciphertext);
    opens(root, &again, &here, &kek).await;
    let len = wrapped.ciphertext.len();
    assert!((32..=MAX_CIPHERTEXT).contains(&len), "{len} bytes");
    let shows = wrapped.ciphertext.windows(8);
    let secret: Vec<_> = kek.expose().windows(8).collect();
    assert!(!shows.into_iter().any(|part| secret.contains(&part)));

    step("nothing that was altered opens");
    for altered in alterations(&wrapped.ciphertext, flip_every) {
        let altered = WrappedKek {
            ciphertext: altered,
            ..wrapped.clone()
        };
        corrupt(root.unwrap(&altered, &here).await);
    }

    step("nothing opens out of its place, or under another key");
    let elsewhere = Binding {
        context: "prod-eu2".to_owned(),
        ..here.clone()
    };
    corrupt(root.unwrap(&wrapped, &elsewhere).await);
    let other = binding("prod-eu1");
    corrupt(root.unwrap(&wrapped, &other).await);
    corrupt(stranger.unwrap(&wrapped, &here).await);
    opens(root, &wrapped, &here, &kek).await;

    step("calls that are dropped half-way harm none that follow");
    for delay in [0, 1, 2, 4, 8].map(Duration::from_millis) {
        let _ = tokio::time::timeout(delay, root.wrap(&kek, &here)).await;
        let _ = tokio::time::timeout(delay, root.unwrap(&wrapped, &here)).await;
    }
    opens(root, &wrapped, &here, &kek).await;

    step("calls at the same time do not mix");
    join_all((0..at_once).map(|_| async {
        let (kek, place) = (local_kek(), binding("prod-eu1"));
        let wrapped = root.wrap(&kek, &place).await.unwrap();
        opens(root, &wrapped, &place, &kek).await;
    }))
    .await;

    let Some(rotate) = rotate else { return };
    step("a rotation is seen, and what was wrapped before still opens");
    let mut seen = vec![version];
    for _ in 0..2 {
        rotate();
        let version = root.version().await.unwrap();
        assert_eq!(version.key(), seen[0].key());
        assert!(!seen.contains(&version), "{version} again");
        let newer = root.wrap(&kek, &here).await.unwrap();
        assert_eq!(newer.version, version);
        opens(root, &newer, &here, &kek).await;
        opens(root, &wrapped, &here, &kek).await;
        seen.push(version);
    }
    survives_its_words(&seen);
}

/// It opens, to the same local KEK.
async fn opens(root: &dyn RemoteRoot, wrapped: &WrappedKek, place: &Binding, kek: &KeyMaterial) {
    let opened = root.unwrap(wrapped, place).await.unwrap();
    assert_eq!(opened.expose(), kek.expose());
}

/// A ciphertext with a byte flipped, cut short, made longer, emptied.
fn alterations(ciphertext: &[u8], flip_every: usize) -> Vec<Vec<u8>> {
    let last = ciphertext.len() - 1;
    let flips = (0..last).step_by(flip_every).chain([last]);
    let mut altered: Vec<_> = flips
        .enumerate()
        .map(|(turn, index)| {
            let mut flipped = ciphertext.to_vec();
            flipped[index] ^= 1 << (turn % 8);
            flipped
        })
        .collect();
    altered.push(ciphertext[..last].to_vec());
    altered.push([ciphertext, b"\0"].concat());
    altered.push(Vec::new());
    altered
}

/// The words of a version are what is stored: read back, they are the same version.
fn survives_its_words(versions: &[RootVersion]) {
    for version in versions {
        assert_eq!(version.as_str().parse().as_ref(), Ok(version));
    }
}
