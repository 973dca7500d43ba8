use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;

use super::*;

/// What `age-keygen` 1.3.2 printed for this test.
pub(crate) const IDENTITY: &str = "# created: 2026-11-24T18:54:36Z
# public key: age1zc3p8kp6swec5vuyeceazkl0wdnrps28lt2fgqfkn0e8dnx02d9qh6cec4
AGE-SECRET-KEY-1AQRYQAJL8NCTLLRPD0Z84DD4DZGGS4ZYZFWC8MEHJZ7HNVXZ2EXQM4VXS9
";
pub(crate) const RECIPIENT: &str = "age1zc3p8kp6swec5vuyeceazkl0wdnrps28lt2fgqfkn0e8dnx02d9qh6cec4";
/// The local KEK 0, 1, 2 … 31 for [`binding`], encrypted to it by `age` 1.3.2, and the parts of that file.
const GOLDEN: &str = "0196aab061e6741edb07b2140dd91745382c711586de106a9ab8f6395bd827d03a5565d4926a12ca5a9db6b25b8341a4\
    54c9479d230804ec4de5928bbc2d9e7b01a04a8a48357bb8ca52069ce4c55c4e3742c3cbe7abfd2f2285127fa449fcf6\
    df7dab080951d2b0437006e1684733e11489fcb4cbdb67ff981d8b6f2fa9305d3f93b13e1aae3ce0cb10ef3c9c376f0e\
    9ab519a177ec9cb3306e03c149bc0e7ca1a0b75e44a9613f3b231e39f0ab996ec9a64b551f0673f1a93dc3561ea10d7a\
    0c";

fn binding() -> Binding {
    Binding {
        context: "prod-eu1".to_owned(),
        kek: [7; 16],
    }
}

fn kek() -> KeyMaterial {
    KeyMaterial::new(Box::new(std::array::from_fn(|at| at as u8)))
}

fn config() -> Config {
    Config {
        recipient: RECIPIENT.parse().unwrap(),
    }
}

fn file(content: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

fn with_identity() -> Age {
    let (_folder, path) = file(IDENTITY);
    Age::with_identity(&config(), &path).unwrap()
}

fn golden() -> WrappedKek {
    WrappedKek {
        version: format!("age:{RECIPIENT}#1").parse().unwrap(),
        ciphertext: hex::decode(GOLDEN).unwrap(),
    }
}

#[tokio::test]
async fn what_age_encrypted_opens() {
    let opened = with_identity().unwrap(&golden(), &binding()).await;
    assert!(opened.unwrap().expose() == kek().expose());
}

#[tokio::test]
async fn what_the_recipient_wrapped_opens_with_the_identity_alone() {
    let root = Age::open(&config());
    let wrapped = root.wrap(&kek(), &binding()).await.unwrap();
    assert_eq!(wrapped.version, root.version().await.unwrap());
    assert_eq!(wrapped.version, golden().version);
    assert_eq!(wrapped.ciphertext.len(), 193);
    assert_ne!(wrapped, root.wrap(&kek(), &binding()).await.unwrap());
    let refused = root.unwrap(&wrapped, &binding()).await.err().unwrap();
    assert!(matches!(&refused, RootError::Refused { what } if what.contains("kept offline")));
    let opened = with_identity().unwrap(&wrapped, &binding()).await;
    assert!(opened.unwrap().expose() == kek().expose());
}

#[tokio::test]
async fn nothing_altered_opens() {
    let root = with_identity();
    let corrupt = async |wrapped: &WrappedKek, binding: &Binding| {
        let answer = root.unwrap(wrapped, binding).await;
        matches!(answer, Err(RootError::Corrupt { .. }))
    };
    let good = golden().ciphertext;
    let flipped = (0..good.len()).map(|at| {
        let mut flipped = good.clone();
        flipped[at] ^= 0x80 >> (at % 8);
        flipped
    });
    let cut = (0..good.len()).map(|len| good[..len].to_vec());
    let longer = [[&good[..], &[0]].concat()];
    for ciphertext in flipped.chain(cut).chain(longer) {
        let altered = WrappedKek {
            ciphertext,
            ..golden()
        };
        assert!(corrupt(&altered, &binding()).await, "{altered:?}");
    }
    // The one bit that X25519 does not look at.
    let mut another = golden();
    another.ciphertext[32] ^= 0x80;
    assert!(corrupt(&another, &binding()).await);
    let mut another = binding();
    another.kek[0] ^= 1;
    assert!(corrupt(&golden(), &another).await);
    another = binding();
    another.context.push('x');
    assert!(corrupt(&golden(), &another).await);
    let version = golden().version.as_str().replace("#1", "#2");
    let another = WrappedKek {
        version: version.parse().unwrap(),
        ..golden()
    };
    assert!(corrupt(&another, &binding()).await);
}

#[test]
fn the_parts_make_the_file() {
    let file = Age::age_file(&golden()).unwrap();
    let text = String::from_utf8_lossy(&file);
    assert!(
        text.starts_with("age-encryption.org/v1\n-> X25519 "),
        "{text}"
    );
    assert_eq!(file.len(), 264);
    let mut other = golden();
    other.ciphertext[0] = 2;
    assert_eq!(Age::age_file(&other), Err(NotAgeFile));
    other.ciphertext = vec![1; 192];
    assert_eq!(Age::age_file(&other), Err(NotAgeFile));
}

#[test]
fn only_a_sound_recipient_is_taken() {
    assert_eq!(config().recipient.to_string(), RECIPIENT);
    let identity = IDENTITY.lines().next_back().unwrap();
    let low_order = bech32::encode::<bech32::Bech32>(bech32::Hrp::parse("age").unwrap(), &[0; 32]);
    for (text, refusal) in [
        ("", RecipientError::Form),
        (&RECIPIENT[..61], RecipientError::Form),
        (&RECIPIENT.replace("zc3", "zc4"), RecipientError::Form),
        (
            "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
            RecipientError::Form,
        ),
        (identity, RecipientError::Identity),
        (&low_order.unwrap(), RecipientError::Weak),
    ] {
        assert_eq!(text.parse::<Recipient>(), Err(refusal), "{text}");
    }
    let written: Written = serde_saphyr::from_str(&format!("recipient: {identity}")).unwrap();
    let refused = written.check("roots[1].age").unwrap_err().to_string();
    assert!(
        refused.starts_with("roots[1].age.recipient: is an identity"),
        "{refused}"
    );
    assert!(!refused.contains("AGE-SECRET-KEY-1A"), "{refused}");
}

#[test]
fn the_sample_is_taken_once_it_names_a_recipient() {
    #[derive(Deserialize)]
    struct Sample {
        age: Written,
    }
    let sample = include_str!("../../../../config/age/root.yaml");
    let check = |text: &str| {
        let Sample { age } = serde_saphyr::from_str(text).unwrap();
        age.check("roots[1].age")
    };
    assert!(check(sample).is_err());
    assert_eq!(
        check(&sample.replace("age1...", RECIPIENT)).unwrap(),
        config()
    );
}

#[test]
fn only_the_recipients_identity_is_taken() {
    let refused = |content: &str| {
        let (_folder, path) = file(content);
        Age::with_identity(&config(), &path)
            .unwrap_err()
            .to_string()
    };
    assert!(refused("").contains(&format!("holds no identity of {RECIPIENT}")));
    assert!(refused(RECIPIENT).contains("holds no identity of "));
    assert!(refused("age-encryption.org/v1\n-> scrypt").contains("is encrypted; decrypt it"));

    let other = bech32::encode_upper::<bech32::Bech32>(
        bech32::Hrp::parse("age-secret-key-").unwrap(),
        &[9; 32],
    )
    .unwrap();
    assert!(refused(&other).contains("holds no identity of "));
    let (_folder, path) = file(&format!("{other}\n{IDENTITY}"));
    assert!(Age::with_identity(&config(), &path).is_ok());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Age::with_identity(&config(), &path).is_err());
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?}", with_identity());
    assert_eq!(shown, format!("Age {{ recipient: {RECIPIENT}, .. }}"));
}
