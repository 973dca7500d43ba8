//! The name of a key.

use std::{fmt, str::FromStr};

/// The ARN of a KMS key: `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`. Never that of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyArn {
    whole: Box<str>,
    region: Box<str>,
    /// The same in every region for a multi-Region key.
    lasting: Box<str>,
    is_multi_region: bool,
}

impl KeyArn {
    /// The longest, in bytes: leaves room in a [`RootVersion`](crate::root::remote::RootVersion) for
    /// its kind and for the 64 digits of a key material id.
    pub const MAX_LEN: usize = 112;

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    /// Where the key is, such as `eu-central-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether the key may have replicas in other regions: its id starts with `mrk-`.
    pub fn is_multi_region(&self) -> bool {
        self.is_multi_region
    }

    /// What names the key on every node, whichever region answers: the ARN, and for a multi-Region key
    /// the ARN without the region.
    pub fn lasting(&self) -> &str {
        &self.lasting
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

impl FromStr for KeyArn {
    type Err = KeyArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = |text: &str, more: &str| {
            let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| known(byte) || byte == b'-' || more.as_bytes().contains(&byte))
        };
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let &["arn", partition, "kms", region, account, resource] = parts.as_slice() else {
            return Err(match text.strip_prefix("alias/") {
                Some(_) => KeyArnError::Alias,
                None => KeyArnError::NoArn,
            });
        };
        if resource.starts_with("alias/") {
            return Err(KeyArnError::Alias);
        }
        let id = resource.strip_prefix("key/").ok_or(KeyArnError::NoArn)?;
        let whole = words(partition, "")
            && words(region, "")
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && words(id, "")
            && text.len() <= Self::MAX_LEN;
        if !whole {
            return Err(KeyArnError::NoArn);
        }
        let is_multi_region = id.starts_with("mrk-");
        Ok(Self {
            whole: text.into(),
            region: region.into(),
            lasting: if is_multi_region {
                format!("arn:{partition}:kms::{account}:{resource}").into()
            } else {
                text.into()
            },
            is_multi_region,
        })
    }
}

/// A text is not the ARN of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyArnError {
    /// It names an alias.
    #[error(
        "names an alias, which may be moved to another key at any time; give the ARN of the key itself"
    )]
    Alias,
    /// It is of another form.
    #[error(
        "must be the ARN of a key, such as arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    )]
    NoArn,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::remote::RootVersion;

    const KEY: &str =
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn a_key_keeps_its_arn_and_a_multi_region_key_forgets_the_region() {
        let key: KeyArn = KEY.parse().unwrap();
        assert_eq!((key.as_str(), key.lasting()), (KEY, KEY));
        assert_eq!(key.region(), "eu-central-1");
        assert!(!key.is_multi_region());

        let key = |region| -> KeyArn {
            format!("arn:aws-cn:kms:{region}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
                .parse()
                .unwrap()
        };
        assert!(key("cn-north-1").is_multi_region());
        assert_eq!(key("cn-north-1").lasting(), key("cn-northwest-1").lasting());
        assert_eq!(
            key("cn-north-1").lasting(),
            "arn:aws-cn:kms::111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
        );
    }

    #[test]
    fn aliases_and_what_is_no_arn_are_refused() {
        for alias in [
            "alias/k8s",
            "arn:aws:kms:eu-central-1:111122223333:alias/k8s",
        ] {
            assert_eq!(alias.parse::<KeyArn>(), Err(KeyArnError::Alias), "{alias}");
        }
        for bad in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:s3:eu-central-1:111122223333:key/1",
            "arn:aws:kms::111122223333:key/1",
            "arn:aws:kms:eu-central-1:1:key/1",
            "arn:aws:kms:eu-central-1:111122223333:key/",
            "arn:aws:kms:eu-central-1:111122223333:key/a b",
            "arn:aws:kms:eu-central-1:111122223333:key/1#2",
        ] {
            assert_eq!(bad.parse::<KeyArn>(), Err(KeyArnError::NoArn), "{bad}");
        }
    }

    #[test]
    fn the_longest_arn_and_a_material_id_are_a_version() {
        let head = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/";
        let longest = format!("{head}{}", "f".repeat(KeyArn::MAX_LEN - head.len()));
        let key: KeyArn = longest.parse().unwrap();
        let version = RootVersion::new("aws-kms", key.lasting(), &"a".repeat(64)).unwrap();
        assert!(version.as_str().len() <= RootVersion::MAX_LEN);
        assert_eq!(
            format!("{longest}f").parse::<KeyArn>(),
            Err(KeyArnError::NoArn)
        );
    }
}
