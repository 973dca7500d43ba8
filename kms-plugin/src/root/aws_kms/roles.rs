//! Roles that STS gives for something else: a token, or other credentials.

use std::{error::Error as StdError, path::PathBuf, time::SystemTime};

use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_sts::{error::SdkError, types};
use http::{HeaderName, HeaderValue};

use super::{
    AssumeRole,
    config::account,
    login::{LoginError, read_text},
};

/// How the sessions are called in AWS's logs.
const SESSION_NAME: &str = "ringfence";

/// A role for a token of an identity provider (`sts:AssumeRoleWithWebIdentity`).
#[derive(Debug)]
pub(super) struct WebIdentity {
    sts: aws_sdk_sts::Client,
    token_file: PathBuf,
    role_arn: String,
}

impl WebIdentity {
    pub(super) fn new(sts: aws_sdk_sts::Client, token_file: PathBuf, role_arn: String) -> Self {
        Self {
            sts,
            token_file,
            role_arn,
        }
    }

    async fn take(&self) -> provider::Result {
        // Kubelet writes tokens of pods with mode 0644 unless the pod names one user.
        let token = read_text(&self.token_file, 0o022).map_err(CredentialsError::provider_error)?;
        let token = token.trim();
        if token.is_empty() {
            let empty = LoginError::Empty(self.token_file.clone());
            return Err(CredentialsError::provider_error(empty));
        }
        let answer = self
            .sts
            .assume_role_with_web_identity()
            .role_arn(&self.role_arn)
            .role_session_name(SESSION_NAME)
            .web_identity_token(token)
            .send()
            .await
            .map_err(refused)?;
        credentials(answer.credentials, "WebIdentity")
    }
}

impl ProvideCredentials for WebIdentity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.take())
    }
}

/// A role for other credentials, which the client has (`sts:AssumeRole`).
#[derive(Debug)]
pub(super) struct AssumedRole {
    sts: aws_sdk_sts::Client,
    role: AssumeRole,
}

impl AssumedRole {
    pub(super) fn new(sts: aws_sdk_sts::Client, role: AssumeRole) -> Self {
        Self { sts, role }
    }

    async fn take(&self) -> provider::Result {
        let AssumeRole {
            arn,
            external_id,
            source_arn,
        } = &self.role;
        let mut headers = Vec::new();
        if let Some(source) = source_arn {
            headers.push(("x-amz-source-arn", source.as_str()));
            headers.extend(account(source).map(|account| ("x-amz-source-account", account)));
        }
        let headers: Vec<_> = headers
            .into_iter()
            .filter_map(|(name, value)| {
                let value = HeaderValue::from_str(value).ok()?;
                Some((HeaderName::from_static(name), value))
            })
            .collect();
        let answer = self
            .sts
            .assume_role()
            .role_arn(arn)
            .role_session_name(SESSION_NAME)
            .set_external_id(external_id.clone())
            .customize()
            .mutate_request(move |request| {
                for (name, value) in &headers {
                    request.headers_mut().insert(name.clone(), value.clone());
                }
            })
            .send()
            .await
            .map_err(refused)?;
        credentials(answer.credentials, "AssumedRole")
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.take())
    }
}

fn refused<E, R>(error: SdkError<E, R>) -> CredentialsError
where
    E: StdError + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    CredentialsError::provider_error(error)
}

fn credentials(
    answer: Option<types::Credentials>,
    provider_name: &'static str,
) -> provider::Result {
    let none = || CredentialsError::provider_error(LoginError::NoCredentials);
    let answer = answer.ok_or_else(none)?;
    let expires = SystemTime::try_from(answer.expiration).map_err(|_| none())?;
    Ok(Credentials::new(
        answer.access_key_id,
        answer.secret_access_key,
        Some(answer.session_token),
        Some(expires),
        provider_name,
    ))
}
