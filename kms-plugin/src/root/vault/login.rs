//! Tokens: how they are had, kept alive, and had anew.

use std::{path::Path, time::Duration};

use hyper::{Method, header::HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, time::Instant};
use tracing::warn;
use zeroize::Zeroizing;

use self::{
    credentials::{Credentials, LoginRequest, rendered},
    token::Token,
};
use super::{
    answer::{self, Answer},
    config::{Auth, LoginMethod},
    transport::{Body, Question, Transport},
};
use crate::root::remote::RootError;

mod credentials;
mod token;

const LOOKUP: &str = "auth/token/lookup-self";
const RENEW: &str = "auth/token/renew-self";

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
            Some(token) if self.was_replaced(&token) => {
                self.replace(token, &mut held, transport).await?
            }
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
            Some(token) if token.header() != denied.header() => Ok(token.clone()),
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
            LoginMethod::TokenFile(path) => {
                rendered(path).is_ok_and(|written| written.as_bytes() != token.header().as_bytes())
            }
            _ => false,
        }
    }

    /// Renews a token, or replaces it when it cannot be, or when its greatest age cuts its new life short.
    async fn prolong(
        &self,
        old: Token,
        held: &mut Held,
        transport: &Transport,
    ) -> Result<Token, RootError> {
        let mut best = old;
        if best.is_renewable() && !best.is_over() {
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
        self.replace(best, held, transport).await
    }

    /// Logs in. While that fails, the old token is good to its end.
    async fn replace(
        &self,
        old: Token,
        held: &mut Held,
        transport: &Transport,
    ) -> Result<Token, RootError> {
        match self.log_in(held, transport).await {
            Err(error) if !old.is_over() => {
                warn!(%error, "cannot log in to Vault; going on with the old token");
                Ok(old)
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
            Some(token.header()),
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
        Ok(Some(token.renewed(lease_duration, renewable)))
    }

    async fn log_in(&self, held: &mut Held, transport: &Transport) -> Result<Token, RootError> {
        let LoginRequest {
            path,
            body,
            hint,
            locks_out,
        } = match Credentials::read(&self.auth.method)? {
            Credentials::Login(request) => request,
            Credentials::Token(path) => return self.look_up(path, transport).await,
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
        let question = self.question(Method::POST, &path, None, Some(body));
        let refusal = match transport.ask(&question).await? {
            Answer::Good(body) => {
                let LoggedIn {
                    auth:
                        Granted {
                            client_token,
                            lease_duration,
                            renewable,
                        },
                } = answer::whole(&path, &body)?;
                held.refused = None;
                let token = Zeroizing::new(client_token);
                return Token::new(token, lease_duration, renewable)
                    .ok_or_else(|| RootError::unreachable(format!("{path}: gives no token")));
            }
            refusal => refusal,
        };
        let what =
            format!("cannot log in: {path}: {refusal}; see that {hint} are right and not expired");
        if locks_out {
            held.refused = Some(Refused {
                digest,
                at: Instant::now(),
                what: what.clone(),
            });
        }
        Err(RootError::unreachable(what))
    }

    /// The token that another program has written, which is good if Vault says so.
    async fn look_up(&self, path: &Path, transport: &Transport) -> Result<Token, RootError> {
        let token = Token::new(rendered(path)?, 0, false)
            .ok_or_else(|| RootError::unreachable(format!("{} holds no token", path.display())))?;
        let question = self.question(Method::GET, LOOKUP, Some(token.header()), None);
        match transport.ask(&question).await? {
            Answer::Good(body) => {
                let LookedUp {
                    ttl,
                    expire_time,
                    renewable,
                } = answer::data(LOOKUP, &body)?;
                // In its last second a token has a TTL of 0, as one that lives for ever.
                let seconds = expire_time.map_or(0, |_| ttl.max(1));
                Ok(token.renewed(seconds, renewable))
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

#[derive(Deserialize)]
struct LoggedIn {
    auth: Granted,
}

#[derive(Deserialize)]
struct Granted {
    client_token: String,
    /// In seconds; 0 for a token that lives for ever.
    lease_duration: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct Renewed {
    auth: Lease,
}

#[derive(Deserialize)]
struct Lease {
    /// As of [`Granted`].
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
