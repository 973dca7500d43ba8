//! What comes when an apiserver starts, and what comes all the time.

use std::time::Instant;

use tokio::time::timeout;

use crate::contract::{
    Outcome, Rule,
    call::{Call, CallError},
    connection::Connection,
    failed,
    message::plaintext,
    session::{Sample, Session},
};

/// Connections of a burst.
const CONNECTIONS: usize = 32;
/// How often Status is asked under load.
const STATUSES: usize = 200;
/// Connections that make the load meanwhile.
const LOADERS: usize = 4;
/// A machine may stall; a plugin that misses the budget so many times in a row is slow.
const TRIES: usize = 3;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "in-time",
        asks: "each call is answered within 3 seconds, after which kube-apiserver gives it up by default",
        source: "k8s.io/apiserver: apis/apiserver/v1/defaults.go, defaultTimeout",
        check: |session| Box::pin(in_time(session)),
    },
    Rule {
        name: "status-under-load",
        asks: "200 Status calls in a row, beside Encrypt and Decrypt, take seconds and say the same: Status answers from memory",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (Status is to be optimised: it is under constant load)",
        check: |session| Box::pin(status_under_load(session)),
    },
    Rule {
        name: "burst-one-connection",
        asks: "thousands of Decrypt calls at once on one connection are all answered",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (thousands of DecryptRequest calls on startup)",
        check: |session| Box::pin(burst(session, 1)),
    },
    Rule {
        name: "burst-many-connections",
        asks: "thousands of Decrypt calls at once on 32 connections are all answered",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (thousands of DecryptRequest calls on startup); k8s.io/apiserver: kmsv2/grpc_service.go (one connection per configured provider)",
        check: |session| Box::pin(burst(session, CONNECTIONS)),
    },
];

async fn in_time(session: &Session<'_>) -> Outcome {
    let sample = session.opened()?;
    let connection = session.connect().await?;
    let budget = session.target.budget;
    for call in [
        Call::status(),
        Call::encrypt(&sample.plaintext),
        Call::decrypt(&sample.wrapped),
    ] {
        let mut quickest = session.target.patience;
        for _ in 0..TRIES {
            let start = Instant::now();
            connection.call(call.clone()).await?;
            quickest = quickest.min(start.elapsed());
            if quickest <= budget {
                break;
            }
        }
        if quickest > budget {
            return failed(format!(
                "the quickest of {TRIES} {:?} calls took {quickest:?}, longer than {budget:?}",
                call.method
            ));
        }
    }
    Ok(None)
}

async fn status_under_load(session: &Session<'_>) -> Outcome {
    let (first, sample) = (session.status()?, session.opened()?);
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..LOADERS {
        let connection = session.connect().await?;
        load.spawn(disturb(connection, sample.clone()));
    }
    let connection = session.connect().await?;
    let asking = async {
        for _ in 0..STATUSES {
            let status = connection.status().await?;
            if status != *first {
                return failed(format!("{first:?} became {status:?}"));
            }
        }
        Ok(())
    };
    let patience = session.target.patience;
    timeout(patience, asking)
        .await
        .unwrap_or_else(|_| failed(format!("they took longer than {patience:?}")))?;
    for ended in load.join_all().await {
        ended?;
    }
    Ok(None)
}

/// Wraps and unwraps as often as Status is asked, all loaders together.
async fn disturb(connection: Connection, sample: Sample) -> Result<(), CallError> {
    for _ in 0..STATUSES / LOADERS / 2 {
        connection.encrypt(&sample.plaintext).await?;
        sample.opens(&connection).await?;
    }
    Ok(())
}

async fn burst(session: &Session<'_>, connections: usize) -> Outcome {
    let sample = session.opened()?;
    let calls = vec![Call::decrypt(&sample.wrapped); session.target.burst / connections];
    let mut bursts = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (connection, calls) = (session.connect().await?, calls.clone());
        bursts.spawn(async move { connection.burst(calls).await });
    }
    let answers: Vec<_> = bursts.join_all().await.into_iter().flatten().collect();
    let (all, mut lost, mut first) = (answers.len(), 0, None);
    for answer in answers {
        let opened = answer.and_then(|message| {
            let same = plaintext(&message).is_ok_and(|opened| opened == sample.plaintext);
            same.then_some(()).ok_or_else(|| CallError::Lost {
                call: "Decrypt".to_owned(),
                why: "another plaintext came".to_owned(),
            })
        });
        if let Err(error) = opened {
            lost += 1;
            first.get_or_insert(error);
        }
    }
    match first {
        None => Ok(None),
        Some(error) => failed(format!(
            "{lost} of {all} calls failed, the first of them so: {error}"
        )),
    }
}
