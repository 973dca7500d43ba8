use std::time::Duration;

use tokio::sync::Mutex;
use tonic::{
    Code, Request,
    metadata::{Ascii, MetadataValue},
};
use zeroize::Zeroizing;

use super::{
    Ask, StoreError,
    call::{Fault, Member, fault, within},
    wire::etcdserverpb::{AuthenticateRequest, auth_client::AuthClient},
};

/// A user of etcd and the token that etcd gave for it.
pub(super) struct Auth {
    user: String,
    password: Zeroizing<String>,
    /// The lock is held while a token is fetched: many requests that find the old one refused
    /// fetch one new token between them.
    token: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    current: Option<Token>,
    made: u64,
}

#[derive(Clone)]
pub(super) struct Token {
    /// `None` where etcd runs without authentication: a user is then no error, as with etcdctl.
    pub(super) value: Option<MetadataValue<Ascii>>,
    /// Tells a token from the one that came before it.
    number: u64,
}

impl Auth {
    pub(super) fn new(user: String, password: &[u8]) -> Result<Self, StoreError> {
        let password = std::str::from_utf8(password).map_err(|_| StoreError::Password)?;
        Ok(Self {
            user,
            password: Zeroizing::new(password.to_owned()),
            token: Mutex::default(),
        })
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Whether etcd gave a token, as it does where it asks for a user.
    pub(super) async fn is_wanted(&self) -> bool {
        let slot = self.token.lock().await;
        slot.current
            .as_ref()
            .is_some_and(|token| token.value.is_some())
    }

    /// The token in use, or a new one from this endpoint.
    pub(super) async fn token(&self, member: &Member, timeout: Duration) -> Result<Token, Fault> {
        let mut slot = self.token.lock().await;
        if let Some(token) = &slot.current {
            return Ok(token.clone());
        }
        let value = within(timeout, self.authenticate(member)).await??;
        slot.made += 1;
        let token = Token {
            value,
            number: slot.made,
        };
        slot.current = Some(token.clone());
        Ok(token)
    }

    /// Drops a token that etcd refused, unless somebody else has renewed it already.
    pub(super) async fn forget(&self, refused: &Token) {
        let mut slot = self.token.lock().await;
        if slot
            .current
            .as_ref()
            .is_some_and(|token| token.number == refused.number)
        {
            slot.current = None;
        }
    }

    /// Asking for a token changes nothing, so a lost answer leaves no doubt behind.
    async fn authenticate(&self, member: &Member) -> Result<Option<MetadataValue<Ascii>>, Fault> {
        let request = Request::new(AuthenticateRequest {
            name: self.user.clone(),
            password: self.password.to_string(),
        });
        let response = match AuthClient::new(member.channel.clone())
            .authenticate(request)
            .await
        {
            Ok(response) => response,
            Err(status) if status.message().contains("authentication is not enabled") => {
                return Ok(None);
            }
            Err(status) if is_wrong_login(&status) => {
                return Err(Fault::Answered(StoreError::Login {
                    user: self.user.clone(),
                }));
            }
            Err(status) => {
                return Err(match fault(&status, &Ask::Login, 0) {
                    Fault::InDoubt(cause) | Fault::Cut(cause) => Fault::NotDone(cause),
                    other => other,
                });
            }
        };
        let mut token: MetadataValue<Ascii> = response.get_ref().token.parse().map_err(|_| {
            Fault::Answered(StoreError::Incomplete {
                ask: Ask::Login,
                part: "a token",
            })
        })?;
        token.set_sensitive(true);
        Ok(Some(token))
    }
}

/// etcd answers one or the other, by version (`ErrGRPCAuthFailed`, `ErrGRPCUserNotFound`).
fn is_wrong_login(status: &tonic::Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::FailedPrecondition
    ) && (status.message().contains("authentication failed")
        || status.message().contains("user name not found"))
}
