//! Who may come in, and under which name.

use std::{fs, os::unix::fs::MetadataExt};

use crate::contract::{Miss, Outcome, Rule, failed, raw::Raw, session::Session};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "authority-abstract",
        asks: "the `:authority` `@name` is served: a kube-apiserver before 1.32 sends it to an abstract socket",
        source: "grpc-go: clientconn.go, encodeAuthority",
        check: |session| Box::pin(served_as(session, "@kms.sock".to_owned())),
    },
    Rule {
        name: "authority-path",
        asks: "the `:authority` `/path/of/the.sock` is served: kube-apiserver 1.27 and 1.28 send it",
        source: "kubernetes/kubernetes#126929; grpc-go before 1.57",
        check: |session| Box::pin(served_as(session, path(session))),
    },
    Rule {
        name: "authority-escaped-path",
        asks: "the `:authority` `%2Fpath%2Fof%2Fthe.sock` is served: kube-apiserver 1.29, 1.30 and 1.31 send it",
        source: "kubernetes/kubernetes#126929; grpc-go: clientconn.go, encodeAuthority",
        check: |session| Box::pin(served_as(session, path(session).replace('/', "%2F"))),
    },
    Rule {
        name: "socket-permissions",
        asks: "the modes of the socket and of the directories above it keep other users out: who can connect can have every DEK source unwrapped",
        source: "unix(7); kubernetes.io: Using a KMS provider, KMS v2 (an abstract socket has no such protection)",
        check: |session| Box::pin(socket_permissions(session)),
    },
];

/// The path as kube-apiserver knows it.
fn path(session: &Session<'_>) -> String {
    match session.target.is_abstract() {
        true => "/var/run/kms.sock".to_owned(),
        false => session.target.socket.display().to_string(),
    }
}

async fn served_as(session: &Session<'_>, authority: String) -> Outcome {
    let first = session.status()?;
    let raw = Raw::open(session.target).await.or_else(failed)?;
    match raw.statuses(&authority).await {
        Ok(statuses) if statuses.iter().all(|status| status == first) => Ok(None),
        Ok(statuses) => failed(format!("Status was {first:?}, then {statuses:?}")),
        Err(why) => failed(format!("Status as {authority:?}: {why}")),
    }
}

async fn socket_permissions(session: &Session<'_>) -> Outcome {
    if session.target.is_abstract() {
        return Err(Miss::NotRun("an abstract socket has no mode".to_owned()));
    }
    session.status()?;
    let mode_of = |path| match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.mode()),
        Err(error) => failed(format!("{path:?}: {error}")),
    };
    let path = match session.target.socket.canonicalize() {
        Ok(path) => path,
        Err(error) => return failed(format!("{:?}: {error}", session.target.socket)),
    };
    let mode = mode_of(path.as_path())?;
    for directory in path.ancestors().skip(1) {
        if mode_of(directory)? & 0o001 == 0 {
            return Ok(None);
        }
    }
    if mode & 0o002 != 0 {
        return failed(format!(
            "its mode is {:04o}, and every directory is open",
            mode & 0o7777
        ));
    }
    Ok(None)
}
