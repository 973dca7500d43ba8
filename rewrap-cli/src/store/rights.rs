use prost::bytes::Bytes;

use super::{
    Ask, Kind, Store, StoreError, key_after,
    wire::etcdserverpb::{
        AuthRoleGetRequest, AuthUserGetRequest, Permission, auth_client::AuthClient,
        permission::Type,
    },
};

/// The role to which etcd permits everything.
const ROOT: &str = "root";

/// What our user may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    user: String,
    /// `None` is everything.
    writable: Option<Vec<Span>>,
}

/// The keys from `start` to before `end`, in the order of bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first key.
    pub start: Vec<u8>,
    /// The first key that is not in it; `None` where it goes on to the last.
    pub end: Option<Vec<u8>>,
}

impl Span {
    /// One key alone.
    pub fn key(key: &[u8]) -> Self {
        Self {
            start: key.into(),
            end: Some(key_after(key)),
        }
    }

    /// Every key that begins with `prefix`, which ends in a slash.
    pub fn directory(prefix: &[u8]) -> Self {
        Self {
            start: prefix.into(),
            end: Some(super::prefix_end(prefix)),
        }
    }
}

impl Rights {
    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the user may write every key of a span. As for etcd itself, several rights that
    /// touch count as one.
    pub fn may_write(&self, wanted: &Span) -> bool {
        let Some(writable) = &self.writable else {
            return true;
        };
        let mut from = &wanted.start;
        // In the order of their starts: the first that does not reach back to `from` leaves a gap.
        for span in writable {
            if span.start > *from {
                return false;
            }
            match (&span.end, &wanted.end) {
                (None, _) => return true,
                (Some(end), Some(wanted)) if end >= wanted => return true,
                (Some(end), _) => from = from.max(end),
            }
        }
        false
    }
}

impl Store {
    /// What our user may write, where etcd asks for a user, we were given one by name, and it may
    /// look at itself; else nothing is known. A name in a client certificate is etcd's affair.
    pub async fn rights(&self) -> Option<Rights> {
        let auth = self.caller.auth.as_ref()?;
        if self.kind == Kind::Kine || !auth.is_wanted().await {
            return None;
        }
        let user = auth.user().to_owned();
        let writable = self.writable_by(&user).await.ok()?;
        Some(Rights { user, writable })
    }

    async fn writable_by(&self, user: &str) -> Result<Option<Vec<Span>>, StoreError> {
        let request = AuthUserGetRequest {
            name: user.to_owned(),
        };
        let roles = self
            .caller
            .read(&Ask::Rights, request, |channel, request| async move {
                AuthClient::new(channel).user_get(request).await
            })
            .await?
            .roles;
        if roles.iter().any(|role| role == ROOT) {
            return Ok(None);
        }
        let mut writable = Vec::new();
        for role in roles {
            let request = AuthRoleGetRequest { role };
            let answer = self
                .caller
                .read(&Ask::Rights, request, |channel, request| async move {
                    AuthClient::new(channel).role_get(request).await
                })
                .await?;
            writable.extend(answer.perm.into_iter().filter_map(span));
        }
        writable.sort();
        Ok(Some(writable))
    }
}

/// What a right lets its holder write.
fn span(right: Permission) -> Option<Span> {
    if right.perm_type() == Type::Read {
        return None;
    }
    let Permission { key, range_end, .. } = right;
    Some(match &range_end[..] {
        b"" => Span::key(&key),
        b"\0" => Span {
            start: key.into(),
            end: None,
        },
        _ => Span {
            start: key.into(),
            end: Some(Bytes::into(range_end)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(spans: &[(&str, Option<&str>)]) -> Rights {
        let span = |(start, end): &(&str, Option<&str>)| Span {
            start: start.as_bytes().to_vec(),
            end: end.map(|end| end.as_bytes().to_vec()),
        };
        let mut writable: Vec<_> = spans.iter().map(span).collect();
        writable.sort();
        Rights {
            user: "rewrap".to_owned(),
            writable: Some(writable),
        }
    }

    #[test]
    fn rights_cover_what_lies_wholly_within_them() {
        let secrets = Span::directory(b"/registry/secrets/");
        for (spans, may) in [
            (&[("/registry/", Some("/registry0"))][..], true),
            (&[("/registry/secrets/", Some("/registry/secrets0"))], true),
            (&[("", None)], true),
            (
                &[("/registry/secrets/", Some("/registry/secrets/m"))],
                false,
            ),
            // Two that touch, one that lies within, and a gap between two.
            (
                &[
                    ("/registry/secrets/m", None),
                    ("/registry/", Some("/registry/secrets/m")),
                ],
                true,
            ),
            (
                &[
                    ("/registry/", Some("/registry/z")),
                    ("/registry/a", Some("/registry/b")),
                ],
                true,
            ),
            (
                &[
                    ("/registry/", Some("/registry/secrets/m")),
                    ("/registry/secrets/n", None),
                ],
                false,
            ),
            (&[("/registry/secrets/a", None)], false),
            (&[], false),
        ] {
            assert_eq!(rights(spans).may_write(&secrets), may, "{spans:?}");
        }
        let lock = Span::key(b"/ringfence.dev/rewrap.lock");
        assert!(rights(&[("/ringfence.dev/", Some("/ringfence.dev0"))]).may_write(&lock));
        assert!(!rights(&[("/registry/", Some("/registry0"))]).may_write(&lock));
    }
}
