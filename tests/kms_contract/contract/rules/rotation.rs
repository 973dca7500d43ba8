//! The key changes while apiservers go on asking.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use crate::contract::{
    Miss, Outcome, Rule,
    call::Call,
    failed,
    message::Wrapped,
    session::{Sample, Session, needs, refused},
};

mod apiserver;

use apiserver::{Watch, poll};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "rotation-arrives",
        asks: "some time after the key was changed Status says another key id",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (a change of Status's key_id is the signal)",
        check: |session| Box::pin(arrives(session)),
    },
    Rule {
        name: "rotation-agrees",
        asks: "an apiserver that asks for Status and then Encrypt, over and over, sees them disagree at most once per change",
        source: "k8s.io/apiserver: encryptionconfig/config.go, rotateDEKOnKeyIDChange; kubernetes.io: Using a KMS provider, KMS v2",
        check: |session| Box::pin(agrees(session)),
    },
    Rule {
        name: "rotation-never-back",
        asks: "once any answer carried the new key id, no answer to a later call carries the old one",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (key_id does not flip-flop and is not used again)",
        check: |session| Box::pin(never_back(session)),
    },
    Rule {
        name: "rotation-opens-old",
        asks: "what was wrapped before the change still opens, and so does what was wrapped after it",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (data move to the new key one by one, later)",
        check: |session| Box::pin(opens_old(session)),
    },
    Rule {
        name: "rotation-binds-key-id",
        asks: "Decrypt refuses a ciphertext under the other one of two key ids that it knows",
        source: "kubernetes.io: Using a KMS provider, KMS v2 (plugins must be sure that they encrypted it)",
        check: |session| Box::pin(binds_key_id(session)),
    },
];

/// What was seen of a change of the key.
#[derive(Clone, Debug)]
pub(in crate::contract) struct Rotated {
    /// The key id of Status before and after.
    key_ids: [String; 2],
    /// The most disagreements that one apiserver saw.
    disagreements: usize,
    /// An answer with a key id that was out of use.
    back: Option<String>,
    /// Wrapped before the change.
    pub(in crate::contract) old: Sample,
    /// Wrapped after it.
    pub(in crate::contract) new: Sample,
}

async fn arrives(session: &Session<'_>) -> Outcome {
    let [before, after] = &rotated(session).await?.key_ids;
    if before == after {
        return failed(format!("Status still says {before:?}"));
    }
    Ok(None)
}

async fn agrees(session: &Session<'_>) -> Outcome {
    let disagreements = arrived(session).await?.disagreements;
    if disagreements > 1 {
        return failed(format!(
            "one apiserver would have seen {disagreements} disagreements"
        ));
    }
    Ok(None)
}

async fn never_back(session: &Session<'_>) -> Outcome {
    match &arrived(session).await?.back {
        Some(seen) => failed(seen),
        None => Ok(None),
    }
}

async fn opens_old(session: &Session<'_>) -> Outcome {
    let rotated = arrived(session).await?;
    let connection = session.connect().await?;
    for (what, sample) in [("before", &rotated.old), ("after", &rotated.new)] {
        if let Err(error) = sample.opens(&connection).await {
            return failed(format!("of what was wrapped {what} the change: {error}"));
        }
    }
    Ok(None)
}

async fn binds_key_id(session: &Session<'_>) -> Outcome {
    let rotated = arrived(session).await?;
    if rotated.old.wrapped.key_id == rotated.new.wrapped.key_id {
        return Err(needs("rotation-agrees"));
    }
    let connection = session.connect().await?;
    let pair = [&rotated.old.wrapped, &rotated.new.wrapped];
    for [wrapped, other] in [pair, [pair[1], pair[0]]] {
        let swapped = Wrapped {
            key_id: other.key_id.clone(),
            ..wrapped.clone()
        };
        let answer = connection.call(Call::decrypt(&swapped)).await;
        refused("a ciphertext under the other key id", answer)?;
    }
    Ok(None)
}

async fn arrived<'a>(session: &'a Session<'_>) -> Result<&'a Rotated, Miss> {
    match rotated(session).await {
        Ok(rotated) if rotated.key_ids[0] != rotated.key_ids[1] => Ok(rotated),
        Err(not_run @ Miss::NotRun(_)) => Err(not_run),
        Ok(_) | Err(Miss::Failed(_)) => Err(needs("rotation-arrives")),
    }
}

/// Changes the key, once per run.
async fn rotated<'a>(session: &'a Session<'_>) -> Result<&'a Rotated, Miss> {
    let rotated = session.rotated.get_or_init(|| rotate(session)).await;
    rotated.as_ref().map_err(Clone::clone)
}

async fn rotate(session: &Session<'_>) -> Result<Rotated, Miss> {
    session.opened()?;
    let Some(hook) = session.target.rotate.clone() else {
        return Err(Miss::NotRun("there is no ROTATE_CMD".to_owned()));
    };
    let connection = session.connect().await?;
    let before = connection.status().await?.key_id;
    let old = Sample::make(&connection).await?;
    let watch = RefCell::new(Watch::new(&before));
    let changing = async {
        let ended = spawn_blocking(move || hook()).await;
        let ended = ended.unwrap_or_else(|_| Err("it panicked".to_owned()));
        let wait = match &ended {
            Ok(()) => session.target.rotation,
            Err(_) => Duration::ZERO,
        };
        watch.borrow_mut().deadline = Some(Instant::now() + wait);
        ended
    };
    // As many apiservers as a large control plane has, and one more.
    let (changed, a, b, c, d) = tokio::join!(
        changing,
        poll(session, &watch),
        poll(session, &watch),
        poll(session, &watch),
        poll(session, &watch),
    );
    changed.map_err(|why| Miss::Failed(format!("ROTATE_CMD: {why}")))?;
    let disagreements = a?.max(b?).max(c?).max(d?);
    let connection = session.connect().await?;
    let after = connection.status().await?.key_id;
    let new = Sample::make(&connection).await?;
    Ok(Rotated {
        key_ids: [before, after],
        disagreements,
        back: watch.into_inner().back,
        old,
        new,
    })
}
