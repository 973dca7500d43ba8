//! `rewrap config diff`.

use super::Judge;
use crate::{
    cli::DiffArgs,
    command::{CommandError, Exit},
    report,
};

/// Compares two files by what they mean; differing is a finding, as for `diff`.
pub(super) fn diff(args: DiffArgs) -> Result<Exit, CommandError> {
    let judge = Judge::new(&args.judge)?;
    let diff = judge.read(&args.from)?.diff(&judge.read(&args.to)?);
    report::print(args.output, &diff, report::diff_table).map_err(CommandError::Io)?;
    Ok(if diff.equal {
        Exit::Done
    } else {
        Exit::Findings
    })
}
