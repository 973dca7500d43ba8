//! The command line.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

#[cfg(feature = "pkcs11")]
use crate::root::pkcs11;
use crate::{
    chain::chain,
    check::{self, CheckError},
    daemon::{self, ServeError},
    log,
    root::local::{self, KeyFileError},
    status::{self, StatusError},
};

/// KMS v2 plugin for kube-apiserver.
#[derive(Debug, Parser)]
#[command(name = "kms-plugin", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = log::Format::Text)]
    log_format: log::Format,
    /// The least severe lines to log: off, error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "info")]
    log_level: LevelFilter,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve kube-apiserver until SIGTERM or SIGINT; SIGHUP reloads the KEKs.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Serve as `serve` does, with the identity of a recovery root from the safe: when the other roots are gone.
    Recover {
        /// The configuration file; it lists the recovery root.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The age identity.
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
    },
    /// Check the configuration, its files and their rights, and try every KEK and root.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Write a new random 256-bit key; an existing file is never touched.
    Keygen {
        /// The key file to make.
        file: PathBuf,
    },
    /// Load a PKCS#11 module: the daemon starts this for itself.
    #[cfg(feature = "pkcs11")]
    #[command(name = pkcs11::SUBCOMMAND, hide = true)]
    Pkcs11Module,
    /// Ask a running daemon how it is.
    Status {
        #[command(flatten)]
        daemon: Daemon,
        /// The form of the answer.
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

/// Which daemon is asked.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Daemon {
    /// Its socket.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Its configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Does what `arguments` say, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            // Nothing can be done if the terminal is gone.
            let _ = answer.print();
            return ExitCode::from(if answer.use_stderr() { 64 } else { 0 });
        }
    };
    log::start(cli.log_format, cli.log_level);
    match execute(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // In one write: lines of others that use this terminal stay whole.
            let line = format!("kms-plugin: {}\n", chain(&error));
            let _ = io::stderr().write_all(line.as_bytes());
            ExitCode::from(error.exit_code())
        }
    }
}

fn execute(command: Command) -> Result<(), Error> {
    match command {
        Command::Serve { config } => Ok(daemon::serve(&config, None)?),
        Command::Recover { config, identity } => Ok(daemon::serve(&config, Some(identity))?),
        Command::Check { config } => print(&check::run(&config)?),
        Command::Keygen { file } => {
            local::generate(&file)?;
            print(&format!("wrote a new 256-bit key to {}\n", file.display()))
        }
        #[cfg(feature = "pkcs11")]
        Command::Pkcs11Module => pkcs11::module::run().map_err(Error::Pkcs11Module),
        Command::Status { daemon, output } => {
            let Daemon { socket, config } = daemon;
            let answer = status::ask(socket, config)?;
            print(&match output {
                Output::Table => answer.to_string(),
                Output::Json => answer.to_json(),
            })
        }
    }
}

fn print(text: &str) -> Result<(), Error> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::Output)
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum Error {
    Check(#[from] CheckError),
    Keygen(#[from] KeyFileError),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[cfg(feature = "pkcs11")]
    #[error("the process of the PKCS#11 module")]
    Pkcs11Module(#[source] io::Error),
    Serve(#[from] ServeError),
    Status(#[from] StatusError),
}

impl Error {
    /// 2 runtime error, 3 configuration refused, 4 cannot connect. A daemon that turns us away hangs
    /// up at some point or other, so a call without an answer is the latter.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Check(CheckError::Root { .. }) => 4,
            Self::Serve(ServeError::Load(_) | ServeError::Probe(_))
            | Self::Check(_)
            | Self::Status(StatusError::Config(_)) => 3,
            Self::Status(StatusError::Call(_) | StatusError::Connect { .. }) => 4,
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11Module(_) => 2,
            Self::Keygen(_) | Self::Output(_) | Self::Serve(_) | Self::Status(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
