use std::{
    error::Error,
    fmt::Write,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use tonic::{Code, ConnectError, Request, Response, Status, transport::Channel};

use super::{Ask, Causes, StoreError, auth::Auth};

/// How often every endpoint is tried, and the first pause between two rounds; each pause is twice
/// the one before. Together 3.1 s: an election takes 1 to 2 s.
const ROUNDS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// One endpoint of the cluster.
pub(super) struct Member {
    /// As it stands in messages.
    pub(super) name: String,
    pub(super) tls: bool,
    pub(super) channel: Channel,
}

/// The endpoints, and which of them answered last.
pub(super) struct Caller {
    pub(super) members: Vec<Member>,
    pub(super) auth: Option<Auth>,
    pub(super) request_timeout: Duration,
    pub(super) quota: Option<i64>,
    pub(super) max_reply: usize,
    pub(super) preferred: AtomicUsize,
    /// Writes that had to be asked again, or read back.
    pub(super) setbacks: AtomicU64,
    /// The newest term of the leader that a write was answered in.
    pub(super) term: AtomicU64,
    /// Whether no endpoint said that it knows no streams of ranges.
    pub(super) streams: AtomicBool,
}

/// How one attempt at one endpoint failed.
pub(super) enum Fault {
    /// The request did not leave, or the server says that it did nothing: any endpoint may be asked again.
    NotDone(String),
    /// No answer, or one that leaves open whether the request was carried out.
    InDoubt(String),
    /// The connection broke before the answer: in doubt likewise.
    Cut(String),
    /// etcd's own answer; asking again would not change it.
    Answered(StoreError),
}

impl Fault {
    /// The error of a call that is made to one endpoint, and once.
    pub(super) fn of(self, member: &Member) -> StoreError {
        match self {
            Self::Answered(error) => error,
            Self::NotDone(cause) | Self::InDoubt(cause) | Self::Cut(cause) => {
                let mut causes = Causes::default();
                causes.add(&member.name, cause);
                causes.into_error()
            }
        }
    }
}

impl Caller {
    /// Asks one endpoint after the other until one answers. For requests that may be sent twice.
    pub(super) async fn read<Q, A, F>(
        &self,
        ask: &Ask,
        request: Q,
        rpc: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, StoreError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut causes = Causes::default();
        for attempt in self.attempts() {
            let member = self.start(attempt).await;
            match self.once(member, ask, request.clone(), &rpc).await {
                Ok(answer) => return Ok(answer),
                Err(Fault::NotDone(cause) | Fault::InDoubt(cause) | Fault::Cut(cause)) => {
                    causes.add(&member.name, cause);
                }
                Err(Fault::Answered(error)) => return Err(error),
            }
        }
        Err(causes.into_error())
    }

    /// The order of attempts: the endpoint that answered last, then the others, several rounds.
    pub(super) fn attempts(&self) -> impl Iterator<Item = Attempt> + use<> {
        let first = self.preferred.load(Ordering::Relaxed);
        let count = self.members.len();
        (0..ROUNDS).flat_map(move |round| {
            (0..count).map(move |i| Attempt {
                member: (first + i) % count,
                pause: (round > 0 && i == 0).then(|| FIRST_PAUSE * 2u32.pow(round - 1)),
            })
        })
    }

    /// Waits where a new round begins.
    pub(super) async fn start(&self, attempt: Attempt) -> &Member {
        if let Some(pause) = attempt.pause {
            tokio::time::sleep(pause).await;
        }
        &self.members[attempt.member]
    }

    /// One request to one endpoint. A token that has run out is renewed once: etcd refuses it before
    /// it does anything.
    pub(super) async fn once<Q, A, F>(
        &self,
        member: &Member,
        ask: &Ask,
        request: Q,
        rpc: &impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Fault>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.once_within(self.request_timeout, member, ask, request, rpc)
            .await
    }

    /// The same with another timeout for the answer.
    pub(super) async fn once_within<Q, A, F>(
        &self,
        timeout: Duration,
        member: &Member,
        ask: &Ask,
        request: Q,
        rpc: &impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Fault>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut renewed = false;
        loop {
            let mut message = Request::new(request.clone());
            let token = match &self.auth {
                Some(auth) => Some((auth, auth.token(member, self.request_timeout).await?)),
                None => None,
            };
            if let Some(value) = token.as_ref().and_then(|(_, token)| token.value.clone()) {
                message.metadata_mut().insert("token", value);
            }
            let status = match within(timeout, rpc(member.channel.clone(), message)).await? {
                Ok(response) => {
                    self.prefer(member);
                    return Ok(response.into_inner());
                }
                Err(status) => status,
            };
            match token {
                Some((auth, token)) if !renewed && wants_new_token(&status) => {
                    auth.forget(&token).await;
                    renewed = true;
                }
                _ => return Err(fault(&status, ask, self.max_reply)),
            }
        }
    }

    /// The endpoint that answered last.
    pub(super) fn preferred(&self) -> &Member {
        &self.members[self.preferred.load(Ordering::Relaxed)]
    }

    fn prefer(&self, member: &Member) {
        let index = self.members.iter().position(|m| m.name == member.name);
        self.preferred
            .store(index.unwrap_or_default(), Ordering::Relaxed);
    }
}

/// One try of one endpoint.
pub(super) struct Attempt {
    member: usize,
    pause: Option<Duration>,
}

/// The answer, or doubt where none comes in time.
pub(super) async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = T>,
) -> Result<T, Fault> {
    tokio::time::timeout(timeout, call)
        .await
        .map_err(|_| Fault::InDoubt(format!("no answer within {timeout:?}")))
}

/// What a status means for the request that got it. The texts are etcd's
/// (`go.etcd.io/etcd/api/v3/v3rpc/rpctypes/error.go`): its codes alone do not tell them apart.
pub(super) fn fault(status: &Status, ask: &Ask, max_reply: usize) -> Fault {
    let says = |words| status.message().contains(words);
    let answer = match (status.code(), ask) {
        // A status with a source was made on this side of the wire.
        _ if status.source().is_some() => return unanswered(status),
        (Code::Unavailable | Code::FailedPrecondition, _) if says("not supported for learner") => {
            return Fault::NotDone(status.message().to_owned());
        }
        // kine answers without a code where its database failed.
        (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown, _) => {
            return Fault::InDoubt(status.message().to_owned());
        }
        // kine may give out a revision and know it a moment later.
        (Code::OutOfRange, Ask::Read { .. }) if says("is a future revision") => {
            return Fault::NotDone(status.message().to_owned());
        }
        (Code::ResourceExhausted, _) if says("too many requests") => {
            return Fault::NotDone(status.message().to_owned());
        }
        (Code::ResourceExhausted, _) if says("database space exceeded") => StoreError::NoSpace,
        (Code::OutOfRange, _) if says("decoded message length too large") => {
            StoreError::ReplyTooLarge { limit: max_reply }
        }
        (Code::OutOfRange, Ask::Read { revision, .. }) if says("has been compacted") => {
            StoreError::Compacted {
                revision: *revision,
            }
        }
        (Code::InvalidArgument | Code::ResourceExhausted, Ask::Write { key, size, .. })
            if says("request is too large") || says("larger than max") =>
        {
            StoreError::TooLarge {
                key: key.clone(),
                size: *size,
            }
        }
        (Code::NotFound, Ask::Write { lease, .. }) if says("requested lease not found") => {
            StoreError::LeaseNotFound { lease: *lease }
        }
        (Code::PermissionDenied, ask) => StoreError::Denied { ask: ask.clone() },
        (Code::InvalidArgument, _) if says("user name is empty") => StoreError::NoLogin,
        (Code::Unimplemented, ask) => StoreError::Unsupported { ask: ask.clone() },
        (code, ask) => StoreError::Refused {
            ask: ask.clone(),
            code,
            message: status.message().to_owned(),
        },
    };
    Fault::Answered(answer)
}

fn unanswered(status: &Status) -> Fault {
    let mut cause = String::new();
    let mut unsent = false;
    let mut next = status.source();
    while let Some(error) = next {
        unsent |= error.is::<ConnectError>();
        let text = error.to_string();
        // Layers repeat each other's words.
        if !cause.ends_with(&text) {
            let separator = if cause.is_empty() { "" } else { ": " };
            let _ = write!(cause, "{separator}{text}");
        }
        next = error.source();
    }
    if unsent {
        Fault::NotDone(cause)
    } else {
        Fault::Cut(cause)
    }
}

fn wants_new_token(status: &Status) -> bool {
    status.code() == Code::Unauthenticated
        || status.message().contains("revision of auth store is old")
}
