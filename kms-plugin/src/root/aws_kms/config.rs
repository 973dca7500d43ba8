//! The settings of the root, as they are relied on and as they are written.

use std::path::PathBuf;

use http::Uri;
use serde::Deserialize;

use super::KeyArn;
use crate::config::{ConfigError, absolute, field, is_label, require};

/// The settings of a root in AWS KMS. No secret is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The key, and where it is called.
    pub key: Place,
    /// The same multi-Region key elsewhere, tried in this order while the first cannot be reached.
    pub replicas: Vec<Place>,
    /// Whether KMS and STS are called at their FIPS 140 endpoints.
    pub use_fips: bool,
    /// Where STS is called, instead of the endpoint of the key's region.
    pub sts_endpoint: Option<String>,
    /// How to log in.
    pub credentials: Credentials,
    /// The role to take after that.
    pub assume_role: Option<AssumeRole>,
}

/// A key and where it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The key.
    pub key: KeyArn,
    /// Instead of the public endpoint of the key's region: that of a VPC, for example.
    pub endpoint: Option<String>,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// What the SDK finds: its environment variables, the default profile, the web identity that EKS
    /// writes into the environment (IRSA), EKS Pod Identity, and the metadata service of the machine
    /// (IMDSv2).
    Default,
    /// A profile in files as the AWS command line has them.
    Profile {
        /// Its name.
        name: String,
        /// The configuration file: writable by root and ourselves only.
        config_file: Option<PathBuf>,
        /// The credentials file: readable by root and ourselves only.
        credentials_file: Option<PathBuf>,
    },
    /// A token of an identity provider, such as kubelet writes it, in exchange for a role.
    WebIdentity {
        /// Holds the token; read again at each login.
        token_file: PathBuf,
        /// The role.
        role_arn: String,
    },
}

/// A role that is taken with the credentials found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// Its ARN.
    pub arn: String,
    /// What the trust policy of a role in another account may ask for (`sts:ExternalId`).
    pub external_id: Option<String>,
    /// The ARN on whose behalf the role is taken (`aws:SourceArn`, with its account as
    /// `aws:SourceAccount`), against a confused deputy.
    pub source_arn: Option<String>,
}

/// `awsKms: {...}` as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Written {
    key_id: String,
    endpoint: Option<String>,
    #[serde(default)]
    replicas: Vec<WrittenPlace>,
    #[serde(default)]
    use_fips: bool,
    sts_endpoint: Option<String>,
    profile: Option<WrittenProfile>,
    web_identity: Option<WrittenWebIdentity>,
    assume_role: Option<WrittenAssumeRole>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenPlace {
    key_id: String,
    endpoint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenProfile {
    name: String,
    config_file: Option<PathBuf>,
    credentials_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenWebIdentity {
    token_file: PathBuf,
    role_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenAssumeRole {
    arn: String,
    external_id: Option<String>,
    source_arn: Option<String>,
}

impl Written {
    /// What may be relied on; `at` is where this stands in the file.
    ///
    /// # Errors
    /// Names the field and says what it must be.
    pub(crate) fn check(self, at: &str) -> Result<Config, ConfigError> {
        let Self {
            key_id,
            endpoint,
            replicas,
            use_fips,
            sts_endpoint,
            profile,
            web_identity,
            assume_role,
        } = self;
        let key = place(key_id, endpoint, use_fips, at)?;
        let replicas: Vec<_> = replicas
            .into_iter()
            .enumerate()
            .map(|(index, written)| {
                let at = format!("{at}.replicas[{index}]");
                let replica = place(written.key_id, written.endpoint, use_fips, &at)?;
                require(
                    key.key.is_multi_region()
                        && replica.key != key.key
                        && replica.key.lasting() == key.key.lasting(),
                    format!("{at}.keyId"),
                    || {
                        format!(
                            "must be {} in another region, and a multi-Region key",
                            key.key
                        )
                    },
                )?;
                Ok(replica)
            })
            .collect::<Result<_, ConfigError>>()?;
        require(
            profile.is_none() || web_identity.is_none(),
            format!("{at}.webIdentity"),
            || "cannot stand beside `profile`; say one way to log in".to_owned(),
        )?;
        let credentials = match (profile, web_identity) {
            (Some(profile), _) => profile.check(&format!("{at}.profile"))?,
            (None, Some(web_identity)) => web_identity.check(&format!("{at}.webIdentity"))?,
            (None, None) => Credentials::Default,
        };
        let at = |name: &str| format!("{at}.{name}");
        Ok(Config {
            key,
            replicas,
            use_fips,
            sts_endpoint: sts_endpoint
                .map(|url| endpoint_url(url, use_fips, at("stsEndpoint")))
                .transpose()?,
            credentials,
            assume_role: assume_role
                .map(|written| written.check(&at("assumeRole")))
                .transpose()?,
        })
    }
}

impl WrittenProfile {
    fn check(self, at: &str) -> Result<Credentials, ConfigError> {
        let at = |name: &str| format!("{at}.{name}");
        require(is_label(&self.name, 128), at("name"), || {
            "must be the name of a profile".to_owned()
        })?;
        require(
            self.config_file.is_some() || self.credentials_file.is_some(),
            at("credentialsFile"),
            || "must be there, or `configFile`: a profile is in one of these files".to_owned(),
        )?;
        Ok(Credentials::Profile {
            name: self.name,
            config_file: self
                .config_file
                .map(|path| absolute(path, at("configFile")))
                .transpose()?,
            credentials_file: self
                .credentials_file
                .map(|path| absolute(path, at("credentialsFile")))
                .transpose()?,
        })
    }
}

impl WrittenWebIdentity {
    fn check(self, at: &str) -> Result<Credentials, ConfigError> {
        Ok(Credentials::WebIdentity {
            token_file: absolute(self.token_file, format!("{at}.tokenFile"))?,
            role_arn: role_arn(self.role_arn, format!("{at}.roleArn"))?,
        })
    }
}

impl WrittenAssumeRole {
    fn check(self, at: &str) -> Result<AssumeRole, ConfigError> {
        let at = |name: &str| format!("{at}.{name}");
        if let Some(id) = &self.external_id {
            require(
                id.len() >= 2 && is_label(id, 1224),
                at("externalId"),
                || {
                    "must have 2 to 1224 printable ASCII characters and no space at either end"
                        .to_owned()
                },
            )?;
        }
        if let Some(arn) = &self.source_arn {
            require(
                account(arn).is_some() && is_label(arn, 2048),
                at("sourceArn"),
                || "must be an ARN with an account, such as that of the cluster".to_owned(),
            )?;
        }
        Ok(AssumeRole {
            arn: role_arn(self.arn, at("arn"))?,
            external_id: self.external_id,
            source_arn: self.source_arn,
        })
    }
}

/// The account that an ARN names.
pub(super) fn account(arn: &str) -> Option<&str> {
    let account = arn.strip_prefix("arn:")?.split(':').nth(3)?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

fn place(
    key_id: String,
    endpoint: Option<String>,
    use_fips: bool,
    at: &str,
) -> Result<Place, ConfigError> {
    Ok(Place {
        key: key_id
            .parse()
            .map_err(|error: super::KeyArnError| field(format!("{at}.keyId"), error.to_string()))?,
        endpoint: endpoint
            .map(|url| endpoint_url(url, use_fips, format!("{at}.endpoint")))
            .transpose()?,
    })
}

fn role_arn(arn: String, at: String) -> Result<String, ConfigError> {
    let is_role = account(&arn).is_some() && arn.contains(":iam::") && arn.contains(":role/");
    require(is_role && is_label(&arn, 2048), at, || {
        "must be the ARN of a role, such as arn:aws:iam::111122223333:role/k8s".to_owned()
    })?;
    Ok(arn)
}

/// Local KEKs travel in the body of a request: only TLS, or this machine.
fn endpoint_url(url: String, use_fips: bool, at: String) -> Result<String, ConfigError> {
    require(!use_fips, &at, || {
        "cannot stand beside `useFips`; name the FIPS endpoint here and leave `useFips` out"
            .to_owned()
    })?;
    let parsed: Option<Uri> = url.parse().ok();
    let fits = parsed.is_some_and(|uri| {
        let is_loopback = matches!(uri.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let is_bare = uri.path() == "/" && uri.query().is_none();
        let names_user = uri
            .authority()
            .is_none_or(|host| host.as_str().contains('@'));
        is_bare
            && !names_user
            && match uri.scheme_str() {
                Some("https") => true,
                Some("http") => is_loopback,
                _ => false,
            }
    });
    require(fits, at, || {
        "must be https://HOST or https://HOST:PORT (http only on this machine)".to_owned()
    })?;
    Ok(url)
}

#[cfg(test)]
mod tests;
