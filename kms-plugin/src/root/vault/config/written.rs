//! What may be written in the configuration file.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{Address, ApiPath, Auth, ClientCertificate, Config, LoginMethod, RoleId};
use crate::{
    config::{ConfigError, absolute, duration, field, is_label, require},
    root::remote::RootVersion,
};

/// A second server can be asked in the time that the daemon gives a call.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(2);
const SHORTEST_TIME_LIMIT: Duration = Duration::from_millis(100);
const LONGEST_TIME_LIMIT: Duration = Duration::from_secs(60);
/// The longest name of a role or an id of one.
const MAX_ROLE_LEN: usize = 512;
/// What kind, number and time of a version may need in the words of a [`RootVersion`].
const VERSION_LEN: usize = "vault:#".len() + 10 + "@".len() + 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Written {
    addresses: Vec<String>,
    namespace: Option<String>,
    mount: Option<String>,
    key: String,
    ca_file: Option<PathBuf>,
    client_certificate: Option<WrittenCertificate>,
    time_limit: Option<String>,
    auth: WrittenAuth,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenCertificate {
    cert_file: PathBuf,
    key_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenAuth {
    namespace: Option<String>,
    app_role: Option<AppRole>,
    certificate: Option<Certificate>,
    jwt: Option<Jwt>,
    token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AppRole {
    mount: Option<String>,
    role_id: Option<String>,
    role_id_file: Option<PathBuf>,
    secret_id_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Certificate {
    mount: Option<String>,
    role: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Jwt {
    mount: Option<String>,
    role: String,
    token_file: PathBuf,
}

impl Written {
    /// What may be relied on.
    ///
    /// # Errors
    /// The field below `at` that cannot be, and what it must be.
    pub(crate) fn check(self, at: &str) -> Result<Config, ConfigError> {
        let Self {
            addresses,
            namespace,
            mount,
            key,
            ca_file,
            client_certificate,
            time_limit,
            auth,
        } = self;
        require(!addresses.is_empty(), format!("{at}.addresses"), || {
            "must list at least one server".to_owned()
        })?;
        let config = Config {
            addresses: addresses
                .iter()
                .enumerate()
                .map(|(index, address)| {
                    let address = address.parse::<Address>();
                    address.map_err(|error| {
                        field(format!("{at}.addresses[{index}]"), error.to_string())
                    })
                })
                .collect::<Result<_, _>>()?,
            namespace: optional_path(namespace, format!("{at}.namespace"))?,
            mount: path(mount.as_deref().unwrap_or("transit"), format!("{at}.mount"))?,
            key: path(&key, format!("{at}.key"))?,
            ca_file: ca_file
                .map(|path| absolute(path, format!("{at}.caFile")))
                .transpose()?,
            client_certificate: client_certificate
                .map(|certificate| certificate.check(&format!("{at}.clientCertificate")))
                .transpose()?,
            time_limit: limit(time_limit, format!("{at}.timeLimit"))?,
            auth: auth.check(&format!("{at}.auth"))?,
        };
        require(
            !config.key.as_str().contains('/'),
            format!("{at}.key"),
            || "must be the name of one key, without `/`".to_owned(),
        )?;
        let room = RootVersion::MAX_LEN - VERSION_LEN;
        require(config.words().len() <= room, format!("{at}.key"), || {
            format!("must, with mount and namespace, have at most {room} characters")
        })?;
        require(
            config.ca_file.is_some() || !config.addresses.iter().any(Address::is_tls),
            format!("{at}.caFile"),
            || {
                "must name the CA of the servers; those that the system trusts are often in /etc/ssl/certs/ca-certificates.crt".to_owned()
            },
        )?;
        let by_certificate = matches!(config.auth.method, LoginMethod::Certificate { .. });
        require(
            !by_certificate || config.client_certificate.is_some(),
            format!("{at}.clientCertificate"),
            || "must be there: it is what auth.certificate logs in with".to_owned(),
        )?;
        Ok(config)
    }
}

impl WrittenCertificate {
    fn check(self, at: &str) -> Result<ClientCertificate, ConfigError> {
        Ok(ClientCertificate {
            cert_file: absolute(self.cert_file, format!("{at}.certFile"))?,
            key_file: absolute(self.key_file, format!("{at}.keyFile"))?,
        })
    }
}

impl WrittenAuth {
    fn check(self, at: &str) -> Result<Auth, ConfigError> {
        let Self {
            namespace,
            app_role,
            certificate,
            jwt,
            token_file,
        } = self;
        let method = match (app_role, certificate, jwt, token_file) {
            (Some(method), None, None, None) => method.check(&format!("{at}.appRole"))?,
            (None, Some(method), None, None) => method.check(&format!("{at}.certificate"))?,
            (None, None, Some(method), None) => method.check(&format!("{at}.jwt"))?,
            (None, None, None, Some(path)) => {
                LoginMethod::TokenFile(absolute(path, format!("{at}.tokenFile"))?)
            }
            _ => {
                return Err(field(
                    at,
                    "must have one of appRole, certificate, jwt and tokenFile",
                ));
            }
        };
        Ok(Auth {
            namespace: optional_path(namespace, format!("{at}.namespace"))?,
            method,
        })
    }
}

impl AppRole {
    fn check(self, at: &str) -> Result<LoginMethod, ConfigError> {
        let role_id = match (self.role_id, self.role_id_file) {
            (Some(id), None) => RoleId::Text(role(id, format!("{at}.roleId"))?),
            (None, Some(path)) => RoleId::File(absolute(path, format!("{at}.roleIdFile"))?),
            _ => return Err(field(at, "must have one of roleId and roleIdFile")),
        };
        Ok(LoginMethod::AppRole {
            mount: mount(self.mount, "approle", at)?,
            role_id,
            secret_id_file: absolute(self.secret_id_file, format!("{at}.secretIdFile"))?,
        })
    }
}

impl Certificate {
    fn check(self, at: &str) -> Result<LoginMethod, ConfigError> {
        Ok(LoginMethod::Certificate {
            mount: mount(self.mount, "cert", at)?,
            role: self
                .role
                .map(|name| role(name, format!("{at}.role")))
                .transpose()?,
        })
    }
}

impl Jwt {
    fn check(self, at: &str) -> Result<LoginMethod, ConfigError> {
        Ok(LoginMethod::Jwt {
            mount: mount(self.mount, "jwt", at)?,
            role: role(self.role, format!("{at}.role"))?,
            token_file: absolute(self.token_file, format!("{at}.tokenFile"))?,
        })
    }
}

fn mount(written: Option<String>, default: &str, at: &str) -> Result<ApiPath, ConfigError> {
    path(written.as_deref().unwrap_or(default), format!("{at}.mount"))
}

fn path(text: &str, at: String) -> Result<ApiPath, ConfigError> {
    text.parse::<ApiPath>()
        .map_err(|error| field(at, error.to_string()))
}

fn optional_path(text: Option<String>, at: String) -> Result<Option<ApiPath>, ConfigError> {
    text.map(|text| path(&text, at)).transpose()
}

fn role(text: String, at: String) -> Result<String, ConfigError> {
    require(is_label(&text, MAX_ROLE_LEN), at, || {
        format!(
            "must have 1 to {MAX_ROLE_LEN} printable ASCII characters and no space at either end"
        )
    })?;
    Ok(text)
}

fn limit(text: Option<String>, at: String) -> Result<Duration, ConfigError> {
    let Some(text) = text else {
        return Ok(DEFAULT_TIME_LIMIT);
    };
    duration(&text)
        .filter(|duration| (SHORTEST_TIME_LIMIT..=LONGEST_TIME_LIMIT).contains(duration))
        .ok_or_else(|| {
            field(
                at,
                "must be a number and ms, s or m, from 100ms to 1m, such as 2s",
            )
        })
}

#[cfg(test)]
mod tests;
