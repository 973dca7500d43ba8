//! `rewrap`'s own answer, from its library.

use rewrap_cli::{
    config::{EncryptionConfig, ParseOptions, encryption::Problem},
    stored::{
        CurrentKeys, DekSources, DekView, GroupResource, Known, NamedKey, Provider, Rule, State,
        Step, UnwrapError,
    },
};
use zeroize::Zeroizing;

use super::real::{Answer, Stored};
use crate::support::sealed;

/// Where the stored values lie.
pub(super) const PATH: &str = "/registry/secrets/default/example";

/// Values under every local key of the file, in plain text, and under a key that the file lacks.
pub(super) fn values(file: &[u8], options: &ParseOptions) -> Vec<Stored> {
    let Ok(config) = EncryptionConfig::parse(file, options) else {
        return Vec::new();
    };
    let mut single = vec![Provider::Identity];
    for provider in config
        .entries()
        .iter()
        .flat_map(|entry| entry.rule.providers())
    {
        let (keys, alone): (_, fn(Vec<NamedKey>) -> Provider) = match provider {
            Provider::AesCbc(keys) => (keys, Provider::AesCbc),
            Provider::AesGcm(keys) => (keys, Provider::AesGcm),
            Provider::Secretbox(keys) => (keys, Provider::Secretbox),
            Provider::Identity | Provider::KmsV1(_) | Provider::KmsV2(_) => continue,
        };
        single.extend(keys.iter().map(|key| alone(vec![key.clone()])));
        let lost = NamedKey::new(keys[0].name(), Zeroizing::new(vec![0x5a; 32]));
        single.push(Provider::Secretbox(vec![lost]));
    }
    single
        .into_iter()
        .map(|provider| Stored {
            path: PATH,
            value: Rule::new(provider, [])
                .seal(PATH.as_bytes(), &plaintext(), None)
                .unwrap(),
        })
        .collect()
}

/// What the values protect.
pub(super) fn plaintext() -> Vec<u8> {
    sealed::secret_json("default", "example", "swordfish")
}

pub(super) fn answer(
    file: &[u8],
    options: &ParseOptions,
    resources: &[(&str, &str)],
    values: &[Stored],
) -> Answer {
    let config = match EncryptionConfig::parse(file, options) {
        Ok(config) => config,
        Err(errors) => return Answer::Refused(errors.to_string()),
    };
    let rule = |resource: &str, group: &str| {
        let rule = config.rule(&GroupResource::new(resource, group));
        rule.map_or_else(Rule::identity, |rule| Rule::clone(rule))
    };
    let secrets = rule("secrets", "");
    Answer::Accepted {
        prefixes: resources
            .iter()
            .map(|(resource, group)| prefixes(&rule(resource, group)))
            .collect(),
        opened: values.iter().map(|value| open(&secrets, value)).collect(),
    }
}

/// The reason for which `rewrap` alone refuses a file, if it is one that its documentation names.
pub(super) fn stricter(file: &[u8], options: &ParseOptions) -> Option<String> {
    let errors = EncryptionConfig::parse(file, options).err()?;
    errors.iter().find_map(|error| match error.problem() {
        Problem::Syntax(error) if error.is_stricter() => {
            Some(error.to_string().split(" (line").next()?.to_owned())
        }
        _ => None,
    })
}

fn prefixes(rule: &Rule) -> Vec<Vec<u8>> {
    let mut prefixes = Vec::new();
    for provider in rule.providers() {
        let mut add = |kind: &str, name: &str| {
            prefixes.push(format!("k8s:enc:{kind}:{name}:").into_bytes());
        };
        match provider {
            Provider::Identity => prefixes.push(Vec::new()),
            Provider::AesCbc(keys) => keys.iter().for_each(|key| add("aescbc:v1", key.name())),
            Provider::AesGcm(keys) => keys.iter().for_each(|key| add("aesgcm:v1", key.name())),
            Provider::Secretbox(keys) => {
                keys.iter().for_each(|key| add("secretbox:v1", key.name()));
            }
            Provider::KmsV1(name) => add("kms:v1", name),
            Provider::KmsV2(name) => add("kms:v2", name),
        }
    }
    prefixes
}

fn open(rule: &Rule, Stored { path, value }: &Stored) -> Option<(Vec<u8>, bool)> {
    let step = rule.open(path.as_bytes(), value, &CurrentKeys::default(), &NoPlugin);
    let Step::Done(opened) = step else {
        panic!("no value is under a KMS provider");
    };
    let opened = opened.ok()?;
    Some((
        opened.plaintext.expose().to_vec(),
        opened.state != State::Current,
    ))
}

struct NoPlugin;

impl DekSources for NoPlugin {
    fn get(&self, _: &DekView<'_>) -> Option<Result<Known<'_>, &UnwrapError>> {
        None
    }
}
