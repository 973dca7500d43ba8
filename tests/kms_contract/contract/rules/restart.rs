//! The plugin ends and another process takes its place.

use std::time::{Duration, Instant};

use tokio::{task::spawn_blocking, time::sleep};

use crate::contract::{
    Miss, Outcome, Rule, failed,
    session::{Sample, Session, needs},
};

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "restart-answers",
        asks: "however the plugin ended, the next process serves at the same path within seconds, whatever socket was left there",
        source: "unix(7) (a socket outlives its process); k8s.io/apiserver: kmsv2/grpc_service.go (dials the same path again)",
        check: |session| Box::pin(answers(session)),
    },
    Rule {
        name: "restart-same-key-id",
        asks: "a restart alone changes no key id: every change makes all stored objects stale",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (key_id is stable)",
        check: |session| Box::pin(same_key_id(session)),
    },
    Rule {
        name: "restart-opens-old",
        asks: "what was wrapped before a restart opens after it, under old key ids too",
        source: "k8s.io/apiserver: kmsv2/envelope.go, TransformFromStorage (asks for whatever is stored)",
        check: |session| Box::pin(opens_old(session)),
    },
];

/// What was seen of a restart.
#[derive(Clone, Debug)]
pub(in crate::contract) struct Restarted {
    /// The key id of Status before and after it.
    key_ids: [String; 2],
    /// What was wrapped before it.
    old: Vec<Sample>,
}

async fn answers(session: &Session<'_>) -> Outcome {
    restarted(session).await.map(|_| None)
}

async fn same_key_id(session: &Session<'_>) -> Outcome {
    let [before, after] = &answered(session).await?.key_ids;
    if before != after {
        return failed(format!("{before:?} became {after:?}"));
    }
    Ok(None)
}

async fn opens_old(session: &Session<'_>) -> Outcome {
    let restarted = answered(session).await?;
    let connection = session.connect().await?;
    for sample in &restarted.old {
        sample.opens(&connection).await?;
    }
    Ok(None)
}

async fn answered<'a>(session: &'a Session<'_>) -> Result<&'a Restarted, Miss> {
    restarted(session).await.map_err(|miss| match miss {
        Miss::Failed(_) => needs("restart-answers"),
        not_run @ Miss::NotRun(_) => not_run,
    })
}

/// Starts the plugin again, once per run.
async fn restarted<'a>(session: &'a Session<'_>) -> Result<&'a Restarted, Miss> {
    let restarted = session.restarted.get_or_init(|| restart(session)).await;
    restarted.as_ref().map_err(Clone::clone)
}

async fn restart(session: &Session<'_>) -> Result<Restarted, Miss> {
    let first = session.opened()?;
    let Some(hook) = session.target.restart.clone() else {
        return Err(Miss::NotRun("there is no RESTART_CMD".to_owned()));
    };
    let connection = session.connect().await?;
    let before = connection.status().await?.key_id;
    let mut old = vec![first.clone(), Sample::make(&connection).await?];
    if let Some(Ok(rotated)) = session.rotated.get() {
        old.extend([rotated.old.clone(), rotated.new.clone()]);
    }

    let ended = spawn_blocking(move || hook()).await;
    let ended = ended.unwrap_or_else(|_| Err("it panicked".to_owned()));
    ended.map_err(|why| Miss::Failed(format!("RESTART_CMD: {why}")))?;
    let start = Instant::now();
    while connection.status().await.is_ok() {
        if start.elapsed() > session.target.patience {
            return failed(
                "a connection from before RESTART_CMD still answers: nothing was restarted",
            );
        }
        sleep(PAUSE).await;
    }
    let after = loop {
        let status = match session.connect().await {
            Ok(connection) => connection.status().await,
            Err(error) => Err(error),
        };
        match status {
            Ok(status) => break status.key_id,
            Err(error) if start.elapsed() > session.target.patience => return Err(error.into()),
            Err(_) => sleep(PAUSE).await,
        }
    };
    Ok(Restarted {
        key_ids: [before, after],
        old,
    })
}
