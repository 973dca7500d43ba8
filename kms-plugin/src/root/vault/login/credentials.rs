//! What each method logs in with.

use std::path::Path;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    file,
    root::{
        remote::RootError,
        vault::{
            config::{ApiPath, LoginMethod, RoleId},
            transport::{self, Body},
            unreadable,
        },
    },
};

/// The longest file with a credential, in bytes. Some JWTs have several KiB.
const MAX_FILE_LEN: u64 = 16 * 1024;
/// Nobody else may read what only we are given; what other programs render is often open to be read, in a folder
/// that is not.
const OURS: u32 = 0o027;
const RENDERED: u32 = 0o022;

/// What there is to log in with.
pub(super) enum Credentials<'a> {
    /// A login to ask for.
    Login(LoginRequest),
    /// The file of a token that is there already.
    Token(&'a Path),
}

/// A login to ask for.
pub(super) struct LoginRequest {
    pub(super) path: String,
    pub(super) body: Body,
    /// What to look at if it is refused.
    pub(super) hint: String,
    /// Whether Vault counts refusals, and locks out.
    pub(super) locks_out: bool,
}

impl<'a> Credentials<'a> {
    /// Reads what `method` logs in with.
    ///
    /// # Errors
    /// A file cannot, or may not, be read.
    pub(super) fn read(method: &'a LoginMethod) -> Result<Self, RootError> {
        let login = |mount: &ApiPath, body, hint| LoginRequest {
            path: format!("auth/{mount}/login"),
            body,
            hint,
            locks_out: false,
        };
        Ok(Self::Login(match method {
            LoginMethod::AppRole {
                mount,
                role_id,
                secret_id_file,
            } => {
                let role_id = match role_id {
                    RoleId::File(path) => text(path, RENDERED)?,
                    RoleId::Text(id) => Zeroizing::new(id.clone()),
                };
                let body = transport::body(&AppRole {
                    role_id: &role_id,
                    secret_id: &text(secret_id_file, OURS)?,
                });
                let hint = format!("the role id and {}", secret_id_file.display());
                LoginRequest {
                    locks_out: true,
                    ..login(mount, body, hint)
                }
            }
            LoginMethod::Certificate { mount, role } => {
                let body = transport::body(&Certificate {
                    name: role.as_deref(),
                });
                login(
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
                    jwt: &rendered(token_file)?,
                });
                login(
                    mount,
                    body,
                    format!("the role and {}", token_file.display()),
                )
            }
            LoginMethod::TokenFile(path) => return Ok(Self::Token(path)),
        }))
    }
}

/// The text of a file that another program renders, without the line end.
///
/// # Errors
/// It cannot, or may not, be read, or is empty.
pub(super) fn rendered(path: &Path) -> Result<Zeroizing<String>, RootError> {
    text(path, RENDERED)
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

fn text(path: &Path, forbidden: u32) -> Result<Zeroizing<String>, RootError> {
    let bytes = file::read(path, forbidden, MAX_FILE_LEN).map_err(unreadable)?;
    str::from_utf8(bytes.trim_ascii())
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| Zeroizing::new(text.to_owned()))
        .ok_or_else(|| RootError::unreachable(format!("{} holds no text", path.display())))
}
