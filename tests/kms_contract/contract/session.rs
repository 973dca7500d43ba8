use std::{
    cell::OnceCell as Once,
    sync::{Arc, Mutex},
};

use tokio::sync::OnceCell;

use super::{
    Miss, Target,
    answer::Refusal,
    call::CallError,
    connection::Connection,
    failed,
    message::{Status, Wrapped},
    rules::{Restarted, Rotated},
};

/// What a run has learned so far, for the rules that build on others.
pub(super) struct Session<'a> {
    pub(super) target: &'a Target,
    /// What Status said, each time it said something else than before.
    pub(super) heard: Arc<Mutex<Vec<Status>>>,
    /// The first Status; `status-call` sets it.
    pub(super) status: Once<Status>,
    /// The first Encrypt; `encrypt-call` sets it.
    pub(super) sample: Once<Sample>,
    /// Set by `decrypt-call` when the sample opened.
    pub(super) opened: Once<()>,
    pub(super) rotated: OnceCell<Result<Rotated, Miss>>,
    pub(super) restarted: OnceCell<Result<Restarted, Miss>>,
}

/// A DEK source and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) plaintext: Vec<u8>,
    pub(super) wrapped: Wrapped,
}

impl Sample {
    /// Wraps a new DEK source.
    pub(super) async fn make(connection: &Connection) -> Result<Self, CallError> {
        let plaintext = dek_source();
        let wrapped = connection.encrypt(&plaintext).await?;
        Ok(Self { plaintext, wrapped })
    }

    /// Whether the plugin gives the DEK source back.
    pub(super) async fn opens(&self, connection: &Connection) -> Result<(), CallError> {
        let plaintext = connection.decrypt(&self.wrapped).await?;
        if plaintext != self.plaintext {
            return Err(CallError::Lost {
                call: "Decrypt".to_owned(),
                why: "the answer is not what Encrypt was given".to_owned(),
            });
        }
        Ok(())
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(target: &'a Target) -> Self {
        Self {
            target,
            heard: Arc::default(),
            status: Once::new(),
            sample: Once::new(),
            opened: Once::new(),
            rotated: OnceCell::new(),
            restarted: OnceCell::new(),
        }
    }

    /// A connection of its own.
    pub(super) async fn connect(&self) -> Result<Connection, CallError> {
        Connection::open(self.target, &self.heard).await
    }

    /// The first Status.
    pub(super) fn status(&self) -> Result<&Status, Miss> {
        self.status.get().ok_or_else(|| needs("status-call"))
    }

    /// The first Encrypt.
    pub(super) fn sample(&self) -> Result<&Sample, Miss> {
        self.status()?;
        self.sample.get().ok_or_else(|| needs("encrypt-call"))
    }

    /// The first Encrypt, which the plugin has opened.
    pub(super) fn opened(&self) -> Result<&Sample, Miss> {
        let sample = self.sample()?;
        self.opened.get().ok_or_else(|| needs("decrypt-call"))?;
        Ok(sample)
    }

    /// Whether the plugin still answers, on `held` and on a new connection.
    pub(super) async fn still_serves(&self, held: &Connection) -> Result<(), Miss> {
        let afterwards = |error: CallError| Miss::Failed(format!("afterwards {error}"));
        held.status().await.map_err(afterwards)?;
        let new = self.connect().await.map_err(afterwards)?;
        new.status().await.map_err(afterwards)?;
        Ok(())
    }
}

/// A rule that another one must have passed before.
pub(super) fn needs(rule: &str) -> Miss {
    Miss::NotRun(format!("{rule} was not kept"))
}

/// What kube-apiserver sends: 32 random bytes, a DEK or the seed of DEKs.
pub(super) fn dek_source() -> Vec<u8> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

/// The refusal of a call that must be refused; `what` it was.
pub(super) fn refused(what: &str, answer: Result<Vec<u8>, CallError>) -> Result<Refusal, Miss> {
    match answer {
        Ok(_) => failed(format!("{what} was answered instead of refused")),
        Err(CallError::Refused { refusal, .. }) => Ok(refusal),
        Err(error) => failed(format!("{what}: {error}")),
    }
}
