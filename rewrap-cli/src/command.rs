//! The verbs. Data goes to stdout, everything else to stderr.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::{
    chain::Chain,
    cli::{Cli, Command},
};

mod config;
mod error;
mod explain;
mod get;
mod plan;
mod run;
mod status;
mod undo;
mod undo_file;
mod verify;
mod watch;

pub use error::CommandError;
pub use run::{CheckpointError, Refusal, Refusals, SnapshotError};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or clean.
    Done = 0,
    /// Something is stale, in plain text, unreadable or unknown.
    Findings = 1,
    /// Something failed.
    Runtime = 2,
    /// A configuration is refused.
    Refused = 3,
    /// Cannot connect or authenticate.
    Unreachable = 4,
    /// A safety gate refused.
    Gate = 5,
    /// Finished, but some objects failed.
    Partly = 6,
    /// Not a command line of this program.
    Usage = 64,
    /// Interrupted; can be started again.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // Nobody is left to tell if even this cannot be printed.
            let _ = error.print();
            return exit.into();
        }
    };
    let exit = dispatch(cli.command).unwrap_or_else(|error| {
        eprintln!("rewrap: {}", Chain(&error));
        error.exit()
    });
    exit.into()
}

fn dispatch(command: Command) -> Result<Exit, CommandError> {
    match command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "rewrap", &mut std::io::stdout());
            Ok(Exit::Done)
        }
        Command::Config(command) => config::config(command),
        Command::Explain(args) => explain::explain(&args),
        Command::Get(args) => block_on(get::get(args)),
        Command::Plan(args) => block_on(plan::plan(args)),
        Command::Run(args) => block_on(run::run(*args)),
        Command::Status(args) => block_on(status::status(args)),
        Command::Undo(args) => block_on(undo::undo(args)),
        Command::Verify(args) => block_on(verify::verify(args)),
        Command::Watch(args) => block_on(watch::watch(args)),
    }
}

/// One thread: measured faster than several, since etcd and not this program is what takes time.
fn block_on(verb: impl Future<Output = Result<Exit, CommandError>>) -> Result<Exit, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Io)?
        .block_on(verb)
}
