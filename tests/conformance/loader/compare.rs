//! One file, two judgements.

use std::{collections::BTreeMap, fmt};

use rewrap_cli::config::ParseOptions;

use super::{
    ours,
    real::{Answer, Loader},
};

/// Resources of every kind: of the core group, of another, of a CRD, with a wildcard over them or
/// without.
const RESOURCES: [(&str, &str); 9] = [
    ("secrets", ""),
    ("configmaps", ""),
    ("events", ""),
    ("deployments", "apps"),
    ("daemonsets", "apps"),
    ("leases", "coordination.k8s.io"),
    ("apiservices", "apiregistration.k8s.io"),
    ("pandas", "awesome.bears.com"),
    ("koalas", "awesome.bears.com"),
];

/// What is decided for a file besides its bytes.
pub(super) struct Setting {
    pub(super) reload: bool,
}

/// What was compared.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) accepted: usize,
    pub(super) refused: usize,
    values: usize,
    /// Values of which kube-apiserver makes garbage without a word.
    garbage: usize,
    /// Files that only `rewrap` refuses, as its documentation says, and why.
    stricter: BTreeMap<String, usize>,
}

impl Tally {
    pub(super) fn stricter(&self) -> usize {
        self.stricter.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            refused,
            values,
            garbage,
            stricter,
        } = self;
        write!(
            f,
            "{accepted} files accepted by both, {refused} refused by both; {values} values read by both, \
             {garbage} read as garbage by kube-apiserver only"
        )?;
        for (reason, files) in stricter {
            write!(f, ", {files} refused by rewrap only ({reason})")?;
        }
        Ok(())
    }
}

/// Two answers that should be one.
pub(super) struct Difference {
    ours: Answer,
    theirs: Answer,
}

impl Difference {
    /// Whether another file shows the same fault: the same side refuses, or both accept.
    pub(super) fn same_kind(&self, other: &Self) -> bool {
        let kind = |difference: &Self| {
            [&difference.ours, &difference.theirs]
                .map(|answer| matches!(answer, Answer::Refused(_)))
        };
        kind(self) == kind(other)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (who, answer) in [("rewrap", &self.ours), ("kube-apiserver", &self.theirs)] {
            match answer {
                Answer::Refused(error) => writeln!(f, "--- {who} refuses it: {error}")?,
                Answer::Accepted { prefixes, opened } => {
                    writeln!(f, "--- {who} accepts it")?;
                    for ((resource, group), prefixes) in RESOURCES.iter().zip(prefixes) {
                        let prefixes = prefixes.iter().map(|prefix| prefix.escape_ascii());
                        let prefixes: Vec<_> = prefixes.map(|prefix| prefix.to_string()).collect();
                        writeln!(f, "    {resource}.{group}: {}", prefixes.join(" | "))?;
                    }
                    for (number, opened) in opened.iter().enumerate() {
                        let opened = opened.as_ref().map(|(plain, stale)| (plain.len(), stale));
                        writeln!(f, "    value {number}, length and staleness: {opened:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Asks both about a file.
pub(super) fn compare(
    file: &[u8],
    setting: &Setting,
    loader: &mut Loader,
    tally: &mut Tally,
) -> Result<(), Difference> {
    let options = ParseOptions {
        version: loader.version.parse().unwrap(),
        automatic_reload: setting.reload,
        kms_v1: loader.kms_v1,
    };
    let values = ours::values(file, &options);
    let mut ours = ours::answer(file, &options, &RESOURCES, &values);
    let mut theirs = loader.ask(file, setting.reload, &RESOURCES, &values);
    match (&mut ours, &mut theirs) {
        (Answer::Refused(_), Answer::Refused(_)) => tally.refused += 1,
        (Answer::Accepted { opened: ours, .. }, Answer::Accepted { opened: theirs, .. }) => {
            tally.accepted += 1;
            tally.values += values.len();
            tally.garbage += forget_garbage(ours, theirs);
        }
        (Answer::Refused(_), Answer::Accepted { .. }) => {
            if let Some(reason) = ours::stricter(file, &options) {
                *tally.stricter.entry(reason).or_default() += 1;
                return Ok(());
            }
        }
        _ => {}
    }
    match same(&ours, &theirs) {
        true => Ok(()),
        false => Err(Difference { ours, theirs }),
    }
}

fn same(ours: &Answer, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Answer::Refused(_), Answer::Refused(_)) => true,
        _ => ours == theirs,
    }
}

/// kube-apiserver returns what a wrong AES-CBC key makes of a value once in 256 times; `rewrap` looks
/// whether it is an object, and goes on.
fn forget_garbage(
    ours: &mut [Option<(Vec<u8>, bool)>],
    theirs: &mut [Option<(Vec<u8>, bool)>],
) -> usize {
    let plaintext = ours::plaintext();
    let mut garbage = 0;
    for (ours, theirs) in ours.iter_mut().zip(theirs) {
        if matches!(theirs, Some((plain, _)) if *plain != plaintext) {
            (*ours, *theirs) = (None, None);
            garbage += 1;
        }
    }
    garbage
}
