//! `roots`, and the KEK whose local KEKs they wrap.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use super::{ConfigError, MAX_NAME_LEN, absolute, duration, field, is_label, require, written};
use crate::root::RemoteConfig;

const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 3600);
const LONGEST_GRACE: Duration = Duration::from_secs(30 * 24 * 3600);
/// More would not fit into the annotations of an object.
const MAX_ROOTS: usize = 8;

/// The KEK whose local KEKs roots wrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderRootsConfig {
    /// All roots: any of them opens. Names are unique.
    pub roots: Vec<RootConfig>,
    /// Those that wrap, by their place in `roots`. Not empty.
    pub wrap_with: Vec<usize>,
    /// How many of those must have wrapped a local KEK before it is used.
    pub write_quorum: usize,
    /// The epoch it wraps under.
    pub epoch: u32,
    /// How long the silence of all roots that wrap is borne; nothing is at zero.
    pub offline_grace: Duration,
    /// The key that seals copies of local KEKs, for a start while no root answers.
    pub sealed_copies: Option<PathBuf>,
}

/// One root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootConfig {
    /// What `wrapWith` calls it.
    pub name: String,
    /// Where it is and how it is asked.
    pub settings: RemoteConfig,
}

pub(super) fn config(
    roots: Vec<written::Root>,
    keks: &[written::Kek],
    offline_grace: Option<String>,
    sealed_copies: Option<written::SealedCopies>,
) -> Result<Option<UnderRootsConfig>, ConfigError> {
    require(roots.len() <= MAX_ROOTS, "roots", || {
        format!("must be {MAX_ROOTS} at most")
    })?;
    let mut names = BTreeSet::new();
    let mut checked = Vec::new();
    for (index, root) in roots.into_iter().enumerate() {
        let at = format!("roots[{index}]");
        let name = root.name.clone();
        require(is_label(&name, MAX_NAME_LEN), format!("{at}.name"), || {
            format!(
                "must have 1 to {MAX_NAME_LEN} printable ASCII characters and no space at either end"
            )
        })?;
        require(names.insert(name.clone()), format!("{at}.name"), || {
            "names another root already".to_owned()
        })?;
        let settings = settings(root, &at)?;
        checked.push(RootConfig { name, settings });
    }

    let mut under_roots = keks
        .iter()
        .enumerate()
        .filter_map(|(index, kek)| Some((index, kek, kek.wrap_with.as_ref()?)));
    let Some((index, kek, wrap_with)) = under_roots.next() else {
        return match checked.first() {
            Some(_) => Err(field(
                "roots",
                "no KEK uses them; add one to `keks` with `wrapWith: [NAME OF A ROOT]`",
            )),
            None => Ok(None),
        };
    };
    if let Some((second, ..)) = under_roots.next() {
        return Err(field(
            format!("keks[{second}].wrapWith"),
            "there is another KEK with `wrapWith`; one is enough, for all `roots` open what any of them wrapped",
        ));
    }
    let at = |name: &str| format!("keks[{index}].{name}");
    let mut places = Vec::new();
    for name in wrap_with {
        let place = checked.iter().position(|root| root.name == *name);
        let place = place.ok_or_else(|| field(at("wrapWith"), "names no root of `roots`"))?;
        require(!places.contains(&place), at("wrapWith"), || {
            "names a root twice".to_owned()
        })?;
        places.push(place);
    }
    let reachable = places
        .iter()
        .filter(|place| !checked[**place].settings.is_offline())
        .count();
    require(reachable > 0, at("wrapWith"), || {
        "must name a root that can unwrap too, or no node could go on after a restart".to_owned()
    })?;
    Ok(Some(UnderRootsConfig {
        write_quorum: quorum(kek.write_quorum.as_ref(), places.len(), &at("writeQuorum"))?,
        wrap_with: places,
        roots: checked,
        epoch: kek.epoch.unwrap_or(1),
        offline_grace: grace(offline_grace)?,
        sealed_copies: sealed_copies
            .map(|copies| absolute(copies.key_file, "sealedCopies.keyFile"))
            .transpose()?,
    }))
}

fn settings(root: written::Root, at: &str) -> Result<RemoteConfig, ConfigError> {
    // Without any feature it has a name and nothing else.
    let _ = &root;
    let mut found = Vec::new();
    #[cfg(feature = "vault")]
    if let Some(vault) = root.vault {
        found.push(RemoteConfig::Vault(vault.check(&format!("{at}.vault"))?));
    }
    #[cfg(feature = "aws-kms")]
    if let Some(aws_kms) = root.aws_kms {
        found.push(RemoteConfig::AwsKms(
            aws_kms.check(&format!("{at}.awsKms"))?,
        ));
    }
    #[cfg(feature = "pkcs11")]
    if let Some(pkcs11) = root.pkcs11 {
        found.push(RemoteConfig::Pkcs11(pkcs11.check(&format!("{at}.pkcs11"))?));
    }
    #[cfg(feature = "age")]
    if let Some(age) = root.age {
        found.push(RemoteConfig::Age(age.check(&format!("{at}.age"))?));
    }
    match (found.pop(), found.len()) {
        (Some(settings), 0) => Ok(settings),
        _ => Err(field(
            at,
            "must have a name and one of `vault`, `awsKms`, `pkcs11` and `age`",
        )),
    }
}

fn quorum(written: Option<&written::Quorum>, roots: usize, at: &str) -> Result<usize, ConfigError> {
    match written {
        None => Ok(roots),
        Some(written::Quorum::Word(word)) if word == "all" => Ok(roots),
        Some(written::Quorum::Number(number)) if (1..=roots).contains(number) => Ok(*number),
        Some(_) => Err(field(
            at,
            format!("must be `all`, or from 1 to {roots}, the number of roots in `wrapWith`"),
        )),
    }
}

fn grace(written: Option<String>) -> Result<Duration, ConfigError> {
    let Some(text) = written else {
        return Ok(DEFAULT_GRACE);
    };
    let parsed = if text == "0" {
        Some(Duration::ZERO)
    } else {
        duration(&text)
    };
    parsed
        .filter(|grace| *grace <= LONGEST_GRACE)
        .ok_or_else(|| {
            field(
                "offlineGrace",
                "must be a number and s, m or h, from 0s to 720h, such as 24h",
            )
        })
}
