//! A token and its life.

use std::{fmt, time::Duration};

use hyper::{body::Bytes, header::HeaderValue};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// What Vault cuts off when it says a time in whole seconds.
const ROUNDING: Duration = Duration::from_secs(1);

/// A token and its life.
#[derive(Clone)]
pub(in crate::root::vault) struct Token {
    /// Marked as sensitive, and wiped when dropped.
    header: HeaderValue,
    renewable: bool,
    /// Nothing if it lives for ever.
    life: Option<Life>,
}

#[derive(Clone, Copy)]
struct Life {
    since: Instant,
    ttl: Duration,
    /// The TTL that it had at first.
    whole: Duration,
}

impl Token {
    /// With seconds to live; for ever if they are none, as Vault puts it. Nothing if no token can be like that.
    pub(super) fn new(token: Zeroizing<String>, seconds: u64, renewable: bool) -> Option<Self> {
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(token)).ok()?;
        header.set_sensitive(true);
        (!header.is_empty()).then(|| Self {
            header,
            renewable,
            life: Life::new(seconds),
        })
    }

    /// The same, with another life.
    pub(super) fn renewed(&self, seconds: u64, renewable: bool) -> Self {
        let life = Life::new(seconds).map(|life| Life {
            whole: self.life.map_or(life.whole, |old| old.whole),
            ..life
        });
        Self {
            header: self.header.clone(),
            renewable,
            life,
        }
    }

    pub(super) fn is_renewable(&self) -> bool {
        self.renewable
    }

    pub(in crate::root::vault) fn header(&self) -> &HeaderValue {
        &self.header
    }

    pub(in crate::root::vault) fn lives_for_ever(&self) -> bool {
        self.life.is_none()
    }

    /// Two thirds of its life are over.
    pub(super) fn is_due(&self) -> bool {
        self.life
            .is_some_and(|life| life.since.elapsed() >= life.ttl * 2 / 3)
    }

    pub(super) fn is_over(&self) -> bool {
        self.life
            .is_some_and(|life| life.since.elapsed() >= life.ttl)
    }

    /// Vault gave it less time than it had at first: it nears its greatest age.
    pub(super) fn is_cut_short(&self) -> bool {
        self.life
            .is_some_and(|life| life.ttl + ROUNDING < life.whole)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([REDACTED])")
    }
}

impl Life {
    fn new(seconds: u64) -> Option<Self> {
        let ttl = Duration::from_secs(seconds);
        (seconds > 0).then(|| Self {
            since: Instant::now(),
            ttl,
            whole: ttl,
        })
    }
}

#[cfg(test)]
mod tests;
