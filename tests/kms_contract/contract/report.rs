use std::fmt;

use super::Rule;

/// What became of one rule.
pub(crate) enum Verdict {
    /// It was kept; there may be something to say all the same.
    Passed(Option<String>),
    /// It was broken: what was seen.
    Failed(String),
    /// It was not tried: why.
    NotRun(String),
}

/// A rule and its verdict; shown as one line.
pub(crate) struct Tried {
    pub(crate) rule: &'static Rule,
    pub(crate) verdict: Verdict,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule {
            name, asks, source, ..
        } = self.rule;
        match &self.verdict {
            Verdict::Passed(None) => write!(f, "ok       {name}"),
            Verdict::Passed(Some(note)) => write!(f, "ok       {name}: {note}"),
            Verdict::Failed(seen) => {
                write!(f, "FAILED   {name}: {seen}; asked for: {asks} [{source}]")
            }
            Verdict::NotRun(why) => write!(f, "not run  {name}: {why}"),
        }
    }
}

/// What became of all of them; shown as the line that closes a run.
#[derive(Default)]
pub(crate) struct Report(pub(crate) Vec<Tried>);

impl Report {
    /// The names of the broken rules.
    pub(crate) fn failed(&self) -> Vec<&'static str> {
        self.0
            .iter()
            .filter(|tried| matches!(tried.verdict, Verdict::Failed(_)))
            .map(|tried| tried.rule.name)
            .collect()
    }

    /// The rules that were not tried, and why.
    pub(crate) fn not_run(&self) -> Vec<(&'static str, &str)> {
        self.0
            .iter()
            .filter_map(|tried| match &tried.verdict {
                Verdict::NotRun(why) => Some((tried.rule.name, why.as_str())),
                _ => None,
            })
            .collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, not_run) = (self.failed().len(), self.not_run().len());
        let passed = self.0.len() - failed - not_run;
        write!(f, "{passed} passed, {failed} failed, {not_run} not run")
    }
}
