//! Tokens: how they are had, kept alive, and had anew.

use std::{fmt, path::Path, time::Duration};

use hyper::{Method, body::Bytes, header::HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, time::Instant};
use tracing::warn;
use zeroize::Zeroizing;

use super::{
    answer::{self, Answer},
    config::{Auth, LoginMethod, RoleId},
    transport::{self, Body, Question, Transport},
    unreadable,
};
use crate::{file, root::remote::RootError};

const LOOKUP: &str = "auth/token/lookup-self";
const RENEW: &str = "auth/token/renew-self";

/// The longest file with a credential, in bytes. Some JWTs have several KiB.
const MAX_FILE_LEN: u64 = 16 * 1024;
/// Nobody else may read what only we are given; what other programs render is often open to be read, in a folder
/// that is not.
const OURS: u32 = 0o027;
const RENDERED: u32 = 0o022;
/// What Vault cuts off when it says a time in whole seconds.
const ROUNDING: Duration = Duration::from_secs(1);

/// Vault locks an AppRole out, on all nodes, for 15 minutes after five refused logins within 15 minutes
/// (`user_lockout_threshold` and its neighbours): what it refused is not tried again for so long.
const LOCKOUT: Duration = Duration::from_secs(15 * 60);

/// Has a token ready.
pub(super) struct Login {
    auth: Auth,
    /// Locked while a token is got, so that there is one login at a time.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    refused: Option<Refused>,
}

/// Credentials that Vault refused.
struct Refused {
    digest: [u8; 32],
    at: Instant,
    what: String,
}

/// A token and its life.
#[derive(Clone)]
pub(super) struct Token {
    /// Marked as sensitive, and wiped when dropped.
    header: HeaderValue,
    renewable: bool,
    /// Nothing if it lives for ever.
    life: Option<Life>,
}

#[derive(Clone, Copy)]
struct Life {
    since: Instant,
    ttl: Duration,
    /// The TTL that it had at first.
    whole: Duration,
}

impl Login {
    pub(super) fn new(auth: &Auth) -> Self {
        Self {
            auth: auth.clone(),
            held: Mutex::default(),
        }
    }

    /// A token that should be good, renewed when two thirds of its life are over.
    ///
    /// # Errors
    /// There is none at hand and no login succeeds.
    pub(super) async fn token(&self, transport: &Transport) -> Result<Token, RootError> {
        let mut held = self.held.lock().await;
        let token = match held.token.clone() {
            Some(token) if self.was_replaced(&token) => self.log_in(&mut held, transport).await?,
            Some(token) if token.is_due() => self.prolong(token, &mut held, transport).await?,
            Some(token) => return Ok(token),
            None => self.log_in(&mut held, transport).await?,
        };
        held.token = Some(token.clone());
        Ok(token)
    }

    /// A token that is good, for one that was denied.
    ///
    /// # Errors
    /// No login succeeds.
    pub(super) async fn afresh(
        &self,
        denied: &Token,
        transport: &Transport,
    ) -> Result<Token, RootError> {
        let mut held = self.held.lock().await;
        match &held.token {
            // Another call was quicker.
            Some(token) if token.header != denied.header => Ok(token.clone()),
            _ => {
                let token = self.log_in(&mut held, transport).await?;
                held.token = Some(token.clone());
                Ok(token)
            }
        }
    }

    /// Whether the program that keeps the token fresh has written another. A file that cannot be read says
    /// nothing against the token at hand.
    fn was_replaced(&self, token: &Token) -> bool {
        match &self.auth.method {
            LoginMethod::TokenFile(path) => read(path, RENDERED)
                .is_ok_and(|written| written.as_bytes() != token.header.as_bytes()),
            _ => false,
        }
    }

    /// Renews a token, or logs in when it cannot be, or when its greatest age cuts its new life short. While all
    /// of that fails, the old one is good to its end.
    async fn prolong(
        &self,
        old: Token,
        held: &mut Held,
        transport: &Transport,
    ) -> Result<Token, RootError> {
        let mut best = old;
        if best.renewable && !best.is_over() {
            match self.renew(&best, transport).await {
                Ok(Some(renewed)) if !renewed.is_cut_short() => return Ok(renewed),
                Ok(Some(renewed)) => best = renewed,
                Ok(None) => {}
                // Nor would a login succeed; whether anything does, the call itself will find out.
                Err(error) => {
                    warn!(%error, "cannot renew the token of Vault; trying again at the next call");
                    return Ok(best);
                }
            }
        }
        match self.log_in(held, transport).await {
            Err(error) if !best.is_over() => {
                warn!(%error, "cannot log in to Vault; going on with the old token");
                Ok(best)
            }
            result => result,
        }
    }

    /// The token with its new life; nothing if Vault does not renew it.
    async fn renew(
        &self,
        token: &Token,
        transport: &Transport,
    ) -> Result<Option<Token>, RootError> {
        let question = self.question(
            Method::POST,
            RENEW,
            Some(&token.header),
            Some(Body::from_static(b"{}")),
        );
        let Answer::Good(body) = transport.ask(&question).await? else {
            return Ok(None);
        };
        let Renewed {
            auth: Lease {
                lease_duration,
                renewable,
            },
        } = answer::whole(RENEW, &body)?;
        let life = Life::new(lease_duration).map(|life| Life {
            whole: token.life.map_or(life.whole, |old| old.whole),
            ..life
        });
        Ok(Some(Token {
            header: token.header.clone(),
            renewable,
            life,
        }))
    }

    async fn log_in(&self, held: &mut Held, transport: &Transport) -> Result<Token, RootError> {
        let (mount, body, hint) = match &self.auth.method {
            LoginMethod::AppRole {
                mount,
                role_id,
                secret_id_file,
            } => {
                let role_id = match role_id {
                    RoleId::File(path) => read(path, RENDERED)?,
                    RoleId::Text(id) => Zeroizing::new(id.clone()),
                };
                let body = transport::body(&AppRole {
                    role_id: &role_id,
                    secret_id: &read(secret_id_file, OURS)?,
                });
                let hint = format!("the role id and {}", secret_id_file.display());
                (mount, body, hint)
            }
            LoginMethod::Certificate { mount, role } => {
                let body = transport::body(&Certificate {
                    name: role.as_deref(),
                });
                (
                    mount,
                    body,
                    "the client certificate and the role".to_owned(),
                )
            }
            LoginMethod::Jwt {
                mount,
                role,
                token_file,
            } => {
                let body = transport::body(&Jwt {
                    role,
                    jwt: &read(token_file, RENDERED)?,
                });
                let hint = format!("the role and {}", token_file.display());
                (mount, body, hint)
            }
            LoginMethod::TokenFile(path) => return self.look_up(path, transport).await,
        };
        let digest = Sha256::digest(&body).into();
        if let Some(Refused { what, .. }) = held
            .refused
            .as_ref()
            .filter(|refused| refused.digest == digest && refused.at.elapsed() < LOCKOUT)
        {
            return Err(RootError::unreachable(format!(
                "{what}; not tried again yet, for Vault would lock the role out"
            )));
        }
        let path = format!("auth/{mount}/login");
        let question = self.question(Method::POST, &path, None, Some(body));
        match transport.ask(&question).await? {
            Answer::Good(body) => {
                let LoggedIn {
                    auth:
                        Granted {
                            client_token,
                            lease,
                        },
                } = answer::whole(&path, &body)?;
                Ok(Token {
                    header: header(Zeroizing::new(client_token))
                        .ok_or_else(|| RootError::unreachable(format!("{path}: gives no token")))?,
                    renewable: lease.renewable,
                    life: Life::new(lease.lease_duration),
                })
            }
            refusal => {
                let what = format!(
                    "cannot log in: {path}: {refusal}; see that {hint} are right and not expired"
                );
                if matches!(self.auth.method, LoginMethod::AppRole { .. }) {
                    held.refused = Some(Refused {
                        digest,
                        at: Instant::now(),
                        what: what.clone(),
                    });
                }
                Err(RootError::unreachable(what))
            }
        }
    }

    /// The token that another program has written, which is good if Vault says so.
    async fn look_up(&self, path: &Path, transport: &Transport) -> Result<Token, RootError> {
        let header = header(read(path, RENDERED)?)
            .ok_or_else(|| RootError::unreachable(format!("{} holds no token", path.display())))?;
        let question = self.question(Method::GET, LOOKUP, Some(&header), None);
        match transport.ask(&question).await? {
            Answer::Good(body) => {
                let LookedUp {
                    ttl,
                    expire_time,
                    renewable,
                } = answer::data(LOOKUP, &body)?;
                Ok(Token {
                    header,
                    renewable,
                    life: expire_time.and_then(|_| Life::new(ttl.max(1))),
                })
            }
            refusal => Err(RootError::unreachable(format!(
                "the token in {} is not good: {LOOKUP}: {refusal}; it has expired or was revoked, or may not look itself up",
                path.display()
            ))),
        }
    }

    fn question<'a>(
        &'a self,
        method: Method,
        path: &'a str,
        token: Option<&'a HeaderValue>,
        body: Option<Body>,
    ) -> Question<'a> {
        Question {
            method,
            path,
            namespace: self.auth.namespace.as_ref(),
            token,
            body,
        }
    }
}

impl Token {
    pub(super) fn header(&self) -> &HeaderValue {
        &self.header
    }

    pub(super) fn lives_for_ever(&self) -> bool {
        self.life.is_none()
    }

    /// Two thirds of its life are over.
    fn is_due(&self) -> bool {
        self.life
            .is_some_and(|life| life.since.elapsed() >= life.ttl * 2 / 3)
    }

    fn is_over(&self) -> bool {
        self.life
            .is_some_and(|life| life.since.elapsed() >= life.ttl)
    }

    /// Vault gave it less time than it had at first: it nears its greatest age.
    fn is_cut_short(&self) -> bool {
        self.life
            .is_some_and(|life| life.ttl + ROUNDING < life.whole)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([REDACTED])")
    }
}

impl Life {
    /// Nothing for a token that lives for ever: so Vault puts it.
    fn new(seconds: u64) -> Option<Self> {
        let ttl = Duration::from_secs(seconds);
        (seconds > 0).then(|| Self {
            since: Instant::now(),
            ttl,
            whole: ttl,
        })
    }
}

#[derive(Serialize)]
struct AppRole<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Serialize)]
struct Certificate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Jwt<'a> {
    role: &'a str,
    jwt: &'a str,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Granted,
}

#[derive(Deserialize)]
struct Granted {
    client_token: String,
    #[serde(flatten)]
    lease: Lease,
}

#[derive(Deserialize)]
struct Renewed {
    auth: Lease,
}

#[derive(Deserialize)]
struct Lease {
    /// In seconds.
    lease_duration: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct LookedUp {
    /// In seconds.
    ttl: u64,
    /// Nothing if it lives for ever.
    expire_time: Option<String>,
    #[serde(default)]
    renewable: bool,
}

/// The text of a file, without the line end.
fn read(path: &Path, forbidden: u32) -> Result<Zeroizing<String>, RootError> {
    let bytes = file::read(path, forbidden, MAX_FILE_LEN).map_err(unreadable)?;
    str::from_utf8(bytes.trim_ascii())
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| Zeroizing::new(text.to_owned()))
        .ok_or_else(|| RootError::unreachable(format!("{} holds no text", path.display())))
}

fn header(token: Zeroizing<String>) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(token)).ok()?;
    header.set_sensitive(true);
    (!header.is_empty()).then_some(header)
}

#[cfg(test)]
mod tests;
