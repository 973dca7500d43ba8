use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use proptest::prelude::*;

use super::*;
use crate::damage::{damaged, tells};

/// 32 bytes that pass for random: SHA-256 of a text.
const KEY: [u8; KEY_LEN] = [
    0x9f, 0x86, 0xd0, 0x81, 0x88, 0x4c, 0x7d, 0x65, 0x9a, 0x2f, 0xea, 0xa0, 0xc5, 0x5a, 0xd0, 0x15,
    0xa3, 0xbf, 0x4f, 0x1b, 0x2b, 0x0b, 0x82, 0x2c, 0xd1, 0x5d, 0x6c, 0x15, 0xb0, 0xf0, 0x0a, 0x08,
];

fn refusal(content: &[u8]) -> KeyRefusal {
    KeyMaterial::parse(content).err().unwrap()
}

fn write(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (directory, path)
}

#[test]
fn raw_and_base64_are_the_same_key() {
    let base64 = BASE64_STANDARD.encode(KEY);
    for content in [
        KEY.to_vec(),
        base64.clone().into_bytes(),
        format!("{base64}\n").into_bytes(),
        format!("{base64}\r\n").into_bytes(),
    ] {
        assert_eq!(KeyMaterial::parse(&content).unwrap().expose(), &KEY);
    }
}

#[test]
fn what_is_no_key_is_refused_for_what_it_is() {
    assert_eq!(refusal(b""), KeyRefusal::Empty);
    assert_eq!(refusal(b"\n"), KeyRefusal::Length { len: 1 });
    assert_eq!(refusal(&KEY[..31]), KeyRefusal::Length { len: 31 });
    assert_eq!(
        refusal(&[&KEY[..], b"\n"].concat()),
        KeyRefusal::Length { len: 33 }
    );
    assert_eq!(refusal(hex::encode(KEY).as_bytes()), KeyRefusal::Hex);
    let base64 = BASE64_STANDARD.encode(KEY);
    assert_eq!(
        refusal(&base64.as_bytes()[..43]),
        KeyRefusal::Length { len: 43 }
    );
    assert_eq!(
        refusal(base64.replace('=', "!").as_bytes()),
        KeyRefusal::Length { len: 44 }
    );
    // 31 bytes have 44 characters of base64 too.
    assert_eq!(
        refusal(BASE64_STANDARD.encode(&KEY[..31]).as_bytes()),
        KeyRefusal::Length { len: 44 }
    );
}

#[test]
fn what_is_plainly_not_random_is_refused() {
    let ascending: Vec<u8> = (0..32).collect();
    let odd: Vec<u8> = (0..32_u8).map(|n| 200_u8.wrapping_sub(n * 7)).collect();
    let doubled = [&KEY[..16], &KEY[..16]].concat();
    for content in [
        &[0; 32][..],
        &[0xff; 32],
        &ascending,
        &odd,
        &doubled,
        b"correct horse battery staple 123",
        b"0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(refusal(content), KeyRefusal::NotRandom);
        assert_eq!(
            refusal(BASE64_STANDARD.encode(content).as_bytes()),
            KeyRefusal::NotRandom
        );
    }
}

#[test]
fn random_keys_are_never_called_plain() {
    for _ in 0..10_000 {
        let mut key = [0; KEY_LEN];
        getrandom::fill(&mut key).unwrap();
        assert!(!is_plainly_not_random(&key));
    }
}

#[test]
fn a_generated_key_is_ours_alone_random_and_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("a"), directory.path().join("b"));
    generate(&first).unwrap();
    generate(&second).unwrap();
    assert_eq!(fs::metadata(&first).unwrap().mode() & 0o7777, 0o600);
    let key = KeyMaterial::read(&first).unwrap();
    assert_ne!(key.expose(), KeyMaterial::read(&second).unwrap().expose());

    let before = fs::read(&first).unwrap();
    assert!(matches!(generate(&first), Err(KeyFileError::Exists(path)) if path == first));
    assert_eq!(fs::read(&first).unwrap(), before);
}

#[test]
fn only_a_file_that_is_closed_to_others_is_read() {
    for mode in [0o600, 0o400, 0o700] {
        let (_directory, path) = write(&KEY, mode);
        assert!(KeyMaterial::read(&path).is_ok(), "{mode:o}");
    }
    for mode in [0o640, 0o604, 0o620, 0o601] {
        let (_directory, path) = write(&KEY, mode);
        let error = KeyMaterial::read(&path).err().unwrap();
        let KeyFileError::Read(cause @ ReadError::Mode { .. }) = error else {
            panic!("mode {mode:o}: {error}");
        };
        assert!(
            cause.to_string().ends_with("run `chmod 0600` on it"),
            "{cause}"
        );
    }
}

#[test]
fn only_regular_files_are_read_and_nothing_waits() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    for path in [directory.path(), &pipe, Path::new("/dev/zero")] {
        let error = KeyMaterial::read(path).err().unwrap();
        assert!(
            matches!(error, KeyFileError::Read(ReadError::NotAFile(_))),
            "{error}"
        );
    }
    let missing = KeyMaterial::read(&directory.path().join("missing"))
        .err()
        .unwrap();
    assert!(matches!(missing, KeyFileError::Read(ReadError::Io { .. })));
}

#[test]
fn a_link_is_followed_and_its_target_judged() {
    let (directory, path) = write(&KEY, 0o600);
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(KeyMaterial::read(&link).is_ok());
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(KeyMaterial::read(&link).is_err());
}

#[test]
fn a_long_file_is_not_read_to_its_end() {
    let (_directory, path) = write(&[7; 5000], 0o600);
    let error = KeyMaterial::read(&path).err().unwrap();
    assert!(
        matches!(error, KeyFileError::Read(ReadError::TooLong { .. })),
        "{error}"
    );
}

fn check(content: &[u8], secrets: &[&str]) -> Result<(), TestCaseError> {
    if let Err(refusal) = KeyMaterial::parse(content) {
        let error = KeyFileError::Content {
            path: "/etc/kms-plugin/keys/a.key".into(),
            refusal,
        };
        let said = format!("{} {error:?}", crate::chain::chain(&error));
        for secret in secrets {
            prop_assert!(!tells(&said, secret), "{said}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_damaged_key_never_panics_and_is_never_quoted(
        content in prop_oneof![
            damaged(KEY),
            damaged(BASE64_STANDARD.encode(KEY) + "\n"),
            damaged(hex::encode(KEY) + "\n"),
        ],
    ) {
        let list = format!("{KEY:?}");
        check(&content, &[&BASE64_STANDARD.encode(KEY), &hex::encode(KEY), &list])?;
    }

    #[test]
    fn nor_do_other_bytes(content in prop::collection::vec(any::<u8>(), 0..100)) {
        check(&content, &[])?;
        // Only what has one of the two lengths of a key can be one.
        if KeyMaterial::parse(&content).is_ok() {
            prop_assert!(content.len() == KEY_LEN || content.trim_ascii_end().len() == BASE64_LEN);
        }
    }
}
