//! The outage policy: what a root's answers say of it, and how long its silence is borne.

use std::time::{Duration, Instant};

/// Refusals that a revocation takes at least.
const REFUSALS: u32 = 3;
/// The time from the first to the last of them at least.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// How long a good answer counts as that. A root is asked more often; if it is not, whoever should do so is
/// stuck, and what is not asked is not good.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// What is known of one root. Moved by the outcome of every call; says where it stands at any time.
///
/// A root that cannot be reached is borne for a time, counted from the last contact. One that refuses the
/// key again and again, after it let us in, is a revocation: only a good answer takes that back, not its
/// silence.
#[derive(Debug, Clone, Default)]
pub struct Outage {
    contact: Option<Contact>,
    silence: Option<Silence>,
    refusals: Option<Refusals>,
}

/// The last good answer: so long before an instant, which may lie before the clock of this machine began.
#[derive(Debug, Clone, Copy)]
struct Contact {
    seen: Instant,
    before: Duration,
    /// Whether it was in this process.
    witnessed: bool,
}

#[derive(Debug, Clone)]
struct Silence {
    since: Instant,
    what: String,
}

#[derive(Debug, Clone)]
struct Refusals {
    first: Instant,
    last: Instant,
    count: u32,
    what: String,
}

impl Refusals {
    fn are_a_revocation(&self) -> bool {
        let over = self.last.saturating_duration_since(self.first);
        self.count >= REFUSALS && over >= REFUSED_FOR
    }
}

/// Where a root stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was never asked, or never answered, since a time before anything that is remembered.
    Unknown(Option<String>),
    /// It answered the last call.
    Good,
    /// It cannot be reached, or has begun to refuse; that is borne for so long still.
    Borne {
        /// What is wrong.
        what: String,
        /// How long it is borne from now on.
        left: Duration,
    },
    /// It cannot be reached, for longer than is borne.
    Over(String),
    /// It refuses the key: a revocation.
    Refused(String),
}

impl Outage {
    /// One whose last contact is known from before: so long ago.
    pub fn remembered(age: Duration, now: Instant) -> Self {
        Self {
            contact: Some(Contact {
                seen: now,
                before: age,
                witnessed: false,
            }),
            ..Self::default()
        }
    }

    /// It unwrapped for us, or wrapped where it does no more. That takes back whatever was held against it.
    pub fn answered(&mut self, now: Instant) {
        *self = Self {
            contact: Some(Contact {
                seen: now,
                before: Duration::ZERO,
                witnessed: true,
            }),
            ..Self::default()
        };
    }

    /// It could not be reached, or could not answer.
    pub fn silent(&mut self, now: Instant, what: String) {
        let since = self.silence.as_ref().map_or(now, |silence| silence.since);
        self.silence = Some(Silence { since, what });
    }

    /// It let us in and denied the key.
    pub fn refused(&mut self, now: Instant, what: String) {
        // It answers: its silence is over.
        self.silence = None;
        let (first, count) = match &self.refusals {
            Some(before) => (before.first, before.count.saturating_add(1)),
            None => (now, 1),
        };
        self.refusals = Some(Refusals {
            first,
            last: now,
            count,
            what,
        });
    }

    /// Whether it has begun to refuse, and that is no revocation yet.
    pub fn may_be_revoked(&self) -> bool {
        let refusals = self.refusals.as_ref();
        refusals.is_some_and(|refusals| !refusals.are_a_revocation())
    }

    /// How long ago the last good answer came, if ever.
    pub fn since_contact(&self, now: Instant) -> Option<Duration> {
        let Contact { seen, before, .. } = self.contact?;
        Some(before.saturating_add(now.saturating_duration_since(seen)))
    }

    /// Since when it has been in trouble, if it is.
    pub fn trouble_since(&self) -> Option<Instant> {
        let silence = self.silence.as_ref().map(|silence| silence.since);
        let refusals = self.refusals.as_ref().map(|refusals| refusals.first);
        silence.into_iter().chain(refusals).min()
    }

    /// Where it stands, if it is borne for `grace` after its last good answer.
    pub fn standing(&self, now: Instant, grace: Duration) -> Standing {
        if let Some(refusals) = &self.refusals
            && refusals.are_a_revocation()
        {
            return Standing::Refused(refusals.what.clone());
        }
        let silence = self.silence.as_ref().map(|silence| &silence.what);
        let refusals = self.refusals.as_ref().map(|refusals| &refusals.what);
        let trouble = silence.or(refusals);
        match (self.since_contact(now), trouble) {
            (None, trouble) => Standing::Unknown(trouble.cloned()),
            (Some(age), None)
                if age <= GOOD_FOR && self.contact.is_some_and(|contact| contact.witnessed) =>
            {
                Standing::Good
            }
            (Some(age), trouble) => {
                let unasked = || format!("was not asked for {age:.0?}");
                let what = trouble.map_or_else(unasked, Clone::clone);
                // Nothing is borne at all if nothing is to be: not even the moment of the last contact.
                match grace.checked_sub(age).filter(|_| !grace.is_zero()) {
                    Some(left) => Standing::Borne { what, left },
                    None => Standing::Over(what),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(3600);

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn borne(outage: &Outage, at: Instant) -> Option<Duration> {
        match outage.standing(at, GRACE) {
            Standing::Borne { left, .. } => Some(left),
            _ => None,
        }
    }

    #[test]
    fn silence_is_borne_from_the_last_contact_on() {
        let start = Instant::now();
        let mut outage = Outage::default();
        assert_eq!(outage.standing(start, GRACE), Standing::Unknown(None));
        outage.silent(start, "down".to_owned());
        let never = Standing::Unknown(Some("down".to_owned()));
        assert_eq!(outage.standing(start + GRACE, GRACE), never);

        outage.answered(start);
        assert_eq!(outage.standing(start + seconds(60), GRACE), Standing::Good);
        assert_eq!(
            borne(&outage, start + seconds(61)),
            Some(seconds(3539)),
            "nobody asks any more"
        );
        outage.silent(start + seconds(10), "down".to_owned());
        assert_eq!(borne(&outage, start + seconds(600)), Some(seconds(3000)));
        outage.silent(start + seconds(3599), "still down".to_owned());
        assert_eq!(borne(&outage, start + seconds(3600)), Some(Duration::ZERO));
        let over = Standing::Over("still down".to_owned());
        assert_eq!(outage.standing(start + seconds(3601), GRACE), over);
        assert_eq!(outage.trouble_since(), Some(start + seconds(10)));
        outage.answered(start + seconds(4000));
        assert_eq!(
            outage.standing(start + seconds(4000), GRACE),
            Standing::Good
        );
    }

    #[test]
    fn a_contact_of_before_counts_but_is_not_good() {
        let now = Instant::now();
        let outage = Outage::remembered(seconds(600), now);
        assert_eq!(borne(&outage, now), Some(seconds(3000)));
        let outage = Outage::remembered(Duration::ZERO, now);
        assert_eq!(borne(&outage, now), Some(GRACE));
        let outage = Outage::remembered(seconds(100_000), now);
        assert!(matches!(outage.standing(now, GRACE), Standing::Over(_)));
    }

    #[test]
    fn nothing_is_borne_without_grace() {
        let now = Instant::now();
        let mut outage = Outage::default();
        outage.answered(now);
        assert_eq!(outage.standing(now, Duration::ZERO), Standing::Good);
        outage.silent(now, "down".to_owned());
        let over = Standing::Over("down".to_owned());
        assert_eq!(outage.standing(now, Duration::ZERO), over);
    }

    #[test]
    fn three_refusals_over_thirty_seconds_are_a_revocation() {
        let start = Instant::now();
        let mut outage = Outage::default();
        outage.answered(start);
        for at in [0, 1, 2, 29] {
            outage.refused(start + seconds(at), "denied".to_owned());
            assert!(borne(&outage, start + seconds(at)).is_some(), "{at}");
        }
        // Silence between them neither counts nor takes anything back.
        outage.silent(start + seconds(30), "down".to_owned());
        assert!(borne(&outage, start + seconds(31)).is_some());
        outage.refused(start + seconds(31), "denied".to_owned());
        let refused = Standing::Refused("denied".to_owned());
        assert_eq!(outage.standing(start + seconds(31), GRACE), refused);
        outage.silent(start + seconds(40), "down".to_owned());
        assert_eq!(outage.standing(start + seconds(40), GRACE), refused);
        outage.answered(start + seconds(50));
        assert_eq!(outage.standing(start + seconds(50), GRACE), Standing::Good);

        let mut two = Outage::default();
        two.answered(start);
        two.refused(start, "denied".to_owned());
        two.refused(start + seconds(40), "denied".to_owned());
        assert!(
            borne(&two, start + seconds(40)).is_some(),
            "two are too few"
        );
    }
}
