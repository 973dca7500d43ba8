use kms_proto::{Annotations, EncryptedDekSource};

use super::*;
use crate::{
    kek::Unavailable,
    root::local::{KeyMaterial, Local},
};

fn local(seed: u8, epoch: u32) -> Member {
    Member::local(
        format!("key-{seed}"),
        epoch,
        Box::new(Local::new(
            &KeyMaterial::new(Box::new([seed; 32])),
            "test",
            epoch,
        )),
    )
}

fn keyring(members: impl IntoIterator<Item = Member>) -> Keyring {
    Keyring::new(members.into_iter().collect()).unwrap()
}

fn wrapped_by(member: &Member) -> EncryptedDekSource {
    EncryptedDekSource {
        ciphertext: vec![1].try_into().unwrap(),
        key_id: member.kek.key_id().unwrap(),
        annotations: Annotations::default(),
    }
}

fn primary_id(keyring: &Keyring) -> KeyId {
    keyring.primary().kek.key_id().unwrap()
}

/// A KEK that unwraps to something else than it wrapped.
#[derive(Debug)]
struct Forgetful(Local);

#[async_trait::async_trait]
impl Kek for Forgetful {
    fn key_id(&self) -> Result<KeyId, Unavailable> {
        self.0.key_id()
    }

    fn key_ids(&self) -> &[KeyId] {
        self.0.key_ids()
    }

    async fn wrap(&self, dek: DekSource) -> Result<EncryptedDekSource, KekError> {
        self.0.wrap(dek).await
    }

    async fn unwrap(&self, _: &EncryptedDekSource) -> Result<DekSource, KekError> {
        Ok(DekSource::new(vec![0; DekSource::SEED_LEN]))
    }
}

#[test]
fn the_first_wraps_and_every_epoch_of_all_is_found() {
    let keyring = keyring([local(1, 2), local(2, 1)]);
    assert_eq!(keyring.primary().name, "key-1");
    assert_eq!(keyring.members().len(), 2);
    for member in [local(1, 1), local(1, 64), local(2, 64)] {
        let found = keyring.find(&wrapped_by(&member)).unwrap();
        assert_eq!(found.name, member.name);
    }
    assert!(keyring.find(&wrapped_by(&local(3, 1))).is_none());
}

#[test]
fn no_kek_or_one_key_twice_is_no_keyring() {
    assert_eq!(Keyring::new(vec![]).unwrap_err(), KeyringError::Empty);
    let twice = vec![
        local(1, 1),
        Member {
            name: "copy".to_owned(),
            ..local(1, 2)
        },
    ];
    let error = Keyring::new(twice).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the KEKs "key-1" and "copy" are the same key; remove one of them, or give "copy" its own key file"#
    );
}

#[test]
fn a_demoted_key_comes_back_only_with_a_new_epoch() {
    let shared = SharedKeyring::new(keyring([local(1, 1)]));
    shared.replace(keyring([local(2, 1), local(1, 1)])).unwrap();
    let second = primary_id(&shared.load());

    let error = shared
        .replace(keyring([local(1, 1), local(2, 1)]))
        .unwrap_err();
    assert_eq!(error.next_epoch, 2);
    assert!(
        error.to_string().contains("set its `epoch` to 2"),
        "{error}"
    );
    assert_eq!(primary_id(&shared.load()), second, "the old keyring stays");

    shared.replace(keyring([local(1, 2), local(2, 1)])).unwrap();
    assert_eq!(
        primary_id(&shared.load()),
        primary_id(&keyring([local(1, 2)]))
    );
}

#[test]
fn the_same_keyring_again_demotes_nothing() {
    let shared = SharedKeyring::new(keyring([local(1, 1)]));
    for _ in 0..3 {
        shared.replace(keyring([local(1, 1), local(2, 1)])).unwrap();
    }
}

#[tokio::test]
async fn a_kek_that_does_not_unwrap_what_it_wrapped_is_found_out() {
    keyring([local(1, 1), local(2, 1)]).probe().await.unwrap();
    let forgetful = Member {
        kek: Box::new(Forgetful(Local::new(
            &KeyMaterial::new(Box::new([3; 32])),
            "test",
            1,
        ))),
        ..local(3, 1)
    };
    let error = keyring([local(1, 1), forgetful]).probe().await.unwrap_err();
    assert!(matches!(error, ProbeError::Different(name) if name == "key-3"));
}
