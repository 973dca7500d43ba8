//! What Status says.

use crate::contract::{Outcome, Rule, failed, session::Session};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "version",
        asks: "Status answers version `v2beta1` or, for kube-apiserver 1.29 and newer only, `v2`",
        source: "k8s.io/apiserver: encryptionconfig/config.go, isKMSv2ProviderHealthyAndMaybeRotateDEK",
        check: |session| Box::pin(version(session)),
    },
    Rule {
        name: "healthz",
        asks: "Status of a healthy plugin answers healthz `ok`, byte by byte",
        source: "k8s.io/apiserver: encryptionconfig/config.go, isKMSv2ProviderHealthyAndMaybeRotateDEK",
        check: |session| Box::pin(healthz(session)),
    },
];

/// Judged at the end of a run, on every Status that was answered in it.
pub(super) const OVER_THE_RUN: &[Rule] = &[Rule {
    name: "status-constant",
    asks: "version and healthz of a healthy plugin are always the same, whatever it is asked, through rotation and restart; the first version is pinned",
    source: "k8s.io/apiserver: encryptionconfig/config.go, isKMSv2ProviderHealthyAndMaybeRotateDEK",
    check: |session| Box::pin(status_constant(session)),
}];

async fn version(session: &Session<'_>) -> Outcome {
    match session.status()?.version.as_str() {
        "v2beta1" => Ok(None),
        "v2" => Ok(Some(
            "`v2`; kube-apiserver 1.27 and 1.28 accept `v2beta1` only".to_owned(),
        )),
        other => failed(format!("version is {other:?}")),
    }
}

async fn healthz(session: &Session<'_>) -> Outcome {
    match session.status()?.healthz.as_str() {
        "ok" => Ok(None),
        other => failed(format!("healthz is {other:?}")),
    }
}

async fn status_constant(session: &Session<'_>) -> Outcome {
    let first = session.status()?;
    let heard = session.heard.lock().expect("no holder panics");
    let other = heard
        .iter()
        .find(|status| (&status.version, &status.healthz) != (&first.version, &first.healthz));
    match other {
        None => Ok(None),
        Some(other) => failed(format!(
            "version {:?} and healthz {:?} became {:?} and {:?}",
            first.version, first.healthz, other.version, other.healthz
        )),
    }
}
