//! What an answer of AWS that is no success means.

use std::{error::Error as StdError, io};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_sdk_sts::operation::{
    assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
};

use super::login::LoginError;
use crate::root::remote::RootError;

/// What follows from a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It is away, or cannot answer now.
    Away,
    /// It does not accept who we say we are: nothing that was refused before a log-in is a
    /// revocation.
    Login,
    /// It knows us and denies this key.
    Refused,
    /// The ciphertext is none of this key's.
    Corrupt,
}

/// A failed call: its class, and the words for it.
pub(super) struct Failure {
    pub(super) class: Class,
    what: String,
}

impl Failure {
    /// Reads what came of `doing`, such as `kms:Decrypt in eu-central-1`.
    pub(super) fn of<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let away = |why: &str| Self {
            class: Class::Away,
            what: format!("{doing}: {why}"),
        };
        match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                match context.err().code() {
                    Some(code) => Self::of_code(doing, code, context.err().message()),
                    None => away(&format!("HTTP status {status}")),
                }
            }
            SdkError::TimeoutError(_) => away("no answer in time"),
            SdkError::ResponseError(context) => away(&format!(
                "an answer that is none of AWS (HTTP status {}); is there a proxy or another server at this address?",
                context.raw().status().as_u16()
            )),
            SdkError::DispatchFailure(failure) => match of_login(error) {
                Some(why) => Self {
                    class: Class::Login,
                    what: format!("{doing}: cannot log in: {why}"),
                },
                None if failure.is_timeout() => away("no connection in time"),
                None => away(&format!("no connection: {}", innermost(error))),
            },
            _ => away(&innermost(error)),
        }
    }

    fn of_code(doing: &str, code: &str, message: Option<&str>) -> Self {
        let message = message.unwrap_or_default();
        let class = class(code, message);
        let what = match (class, said(message)) {
            // A message about a signature may repeat what was signed, a session token included.
            (Class::Login, _) => format!("{doing}: {code}; {}", remedy(code)),
            (_, said) if said.is_empty() => format!("{doing}: {code}"),
            (_, said) => format!("{doing}: {code}: {said}"),
        };
        Self { class, what }
    }
}

impl From<Failure> for RootError {
    fn from(Failure { class, what }: Failure) -> Self {
        match class {
            Class::Away | Class::Login => Self::unreachable(what),
            Class::Refused => Self::Refused { what },
            Class::Corrupt => Self::Corrupt { what },
        }
    }
}

/// The class of an error code: <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>
/// and the errors of `Encrypt`, `Decrypt` and `DescribeKey` there. What is not known is no refusal:
/// throttling, faults of the service, and whatever comes new.
fn class(code: &str, message: &str) -> Class {
    match code {
        "InvalidCiphertextException" | "IncorrectKeyException" => Class::Corrupt,
        "AccessDeniedException"
        | "DisabledException"
        | "InvalidArnException"
        | "InvalidGrantTokenException"
        | "InvalidKeyUsageException"
        | "NotFoundException" => Class::Refused,
        "KMSInvalidStateException" => invalid_state(message),
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Class::Login,
        _ => Class::Away,
    }
}

/// The state of a key that is no state for use. For keys in an external key store this is the one code
/// for all that can go wrong there, and only the message tells:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/xks-troubleshooting.html>.
fn invalid_state(message: &str) -> Class {
    const REFUSED: [&str; 7] = [
        "pending deletion",
        "PendingDeletion",
        "pending replica deletion",
        "pending import",
        "denied access to the operation",
        "external key is not enabled",
        "could not find the external key",
    ];
    const CORRUPT: [&str; 2] = [
        "ciphertext or additional authenticated data is corrupted",
        "or the encryption context, is corrupted",
    ];
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&REFUSED) {
        Class::Refused
    } else if says(&CORRUPT) {
        Class::Corrupt
    } else {
        Class::Away
    }
}

fn remedy(code: &str) -> &'static str {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "see that the credentials are renewed, and that the clock of this machine is right"
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            "check the secret access key, and the clock of this machine"
        }
        _ => "check the access key, and that it is of this partition and region",
    }
}

/// What AWS said, fit for a log line: the first line of it, and not much. The lines after it repeat
/// what was signed.
fn said(message: &str) -> String {
    const MOST: usize = 300;
    let line = message.lines().next().unwrap_or_default();
    let line: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(MOST)
        .collect();
    line.trim().to_owned()
}

/// Why there are no credentials, if that is why. Says only what cannot hold one: of the SDK's own
/// providers, some quote the token that they cannot use.
fn of_login(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut reason = None;
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<LoginError>() {
            return Some(error.to_string());
        }
        let sts = error
            .downcast_ref::<AssumeRoleError>()
            .map(|error| error as &dyn ProvideErrorMetadata)
            .or_else(|| {
                let error = error.downcast_ref::<AssumeRoleWithWebIdentityError>()?;
                Some(error as &dyn ProvideErrorMetadata)
            });
        if let Some((code, message)) = sts.and_then(|error| Some((error.code()?, error.message())))
        {
            return Some(match class(code, "") {
                Class::Login => format!("{code}; {}", remedy(code)),
                _ => format!("{code}: {}", said(message.unwrap_or_default())),
            });
        }
        if error.is::<CredentialsError>() {
            reason = Some(error.to_string());
        }
        if let (Some(reason), true) = (&mut reason, error.is::<io::Error>()) {
            *reason = format!("{reason}: {error}");
        }
        cause = error.source();
    }
    let reason = reason?;
    Some(format!(
        "{reason}; see which source of credentials this process should have, and what it has"
    ))
}

/// The last cause: of a connection that failed, the one that tells.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
        if innermost.is::<io::Error>() {
            break;
        }
    }
    said(&innermost.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_before_it_repeats_what_was_signed() {
        let message = "The signature does not match.\n\nThe Canonical String should have been\n\
                       'POST\nx-amz-security-token:SECRET'";
        assert_eq!(said(message), "The signature does not match.");
        let failure = Failure::of_code("kms:Encrypt", "SignatureDoesNotMatch", Some("SECRET"));
        assert_eq!(failure.class, Class::Login);
        assert!(!failure.what.contains("SECRET"), "{}", failure.what);
        assert_eq!(said(&"\u{1b}x".repeat(1000)), "x".repeat(300));
    }

    #[test]
    fn the_state_of_a_key_store_is_in_the_message() {
        for (message, class) in [
            ("arn:aws:kms:x:1:key/1 is pending deletion.", Class::Refused),
            ("arn:aws:kms:x:1:key/1 is pending import.", Class::Refused),
            (
                "The external key store proxy rejected the request because the external key is not enabled in the external key manager.",
                Class::Refused,
            ),
            (
                "The external key store proxy denied access to the operation. Verify that the user and the external key are both authorized for this operation, and try the request again.",
                Class::Refused,
            ),
            (
                "AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request.",
                Class::Away,
            ),
            (
                "The external key store proxy rejected the request because it could not authenticate AWS KMS.",
                Class::Away,
            ),
            (
                "The external key store proxy rejected the request because the specified ciphertext or additional authenticated data is corrupted, missing, or otherwise invalid.",
                Class::Corrupt,
            ),
            ("arn:aws:kms:x:1:key/1 is unavailable.", Class::Away),
        ] {
            assert_eq!(
                super::class("KMSInvalidStateException", message),
                class,
                "{message}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_no_refusal() {
        for code in [
            "ThrottlingException",
            "KMSInternalException",
            "BrandNewException",
        ] {
            assert_eq!(class(code, ""), Class::Away, "{code}");
        }
    }
}
