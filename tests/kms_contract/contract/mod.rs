//! What a KMS v2 plugin must do, as rules that are tried out on its socket.
//!
//! [`check`] tries the [`rules`] on a [`Target`] one after the other. Requests are bytes made by
//! hand and answers are read field by field: nothing here is shared with a plugin, ours included.
//! To add a rule, write it beside its kin in `rules/`, and a fault that breaks it beside the others
//! in `../faults.rs`.

pub(crate) mod answer;
mod call;
mod connection;
mod frame;
mod message;
pub(crate) mod protobuf;
mod raw;
mod report;
pub(crate) mod rules;
mod session;
mod target;

use std::pin::Pin;

use report::Verdict;
use session::Session;

pub(crate) use report::{Report, Tried};
pub(crate) use target::Target;

/// One rule of the contract.
pub(crate) struct Rule {
    /// What reports and tables call it.
    pub(crate) name: &'static str,
    /// What it asks of a plugin.
    pub(crate) asks: &'static str,
    /// Who says so.
    pub(crate) source: &'static str,
    check: for<'a> fn(&'a Session<'a>) -> Checking<'a>,
}

type Checking<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// How a rule ended: kept, perhaps with a word to the author of the plugin, or not.
type Outcome = Result<Option<String>, Miss>;

/// Why a rule was not kept.
#[derive(Clone, Debug)]
enum Miss {
    /// This was seen instead.
    Failed(String),
    /// It could not be tried, for this reason.
    NotRun(String),
}

/// Fails a rule with what was seen.
fn failed<T>(seen: impl Into<String>) -> Result<T, Miss> {
    Err(Miss::Failed(seen.into()))
}

/// Tries all rules on `target`; each verdict is told to `tell` as soon as it is known.
pub(crate) async fn check(target: &Target, mut tell: impl FnMut(&Tried)) -> Report {
    let session = Session::new(target);
    let mut report = Report::default();
    for rule in rules::all() {
        let verdict = match (rule.check)(&session).await {
            Ok(note) => Verdict::Passed(note),
            Err(Miss::Failed(seen)) => Verdict::Failed(seen),
            Err(Miss::NotRun(why)) => Verdict::NotRun(why),
        };
        let tried = Tried { rule, verdict };
        tell(&tried);
        report.0.push(tried);
    }
    report
}
