//! Where log lines go, and which.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// Logs to stderr from now on. Other crates say no more than warnings at any level: what they know
/// of messages and headers is not theirs to tell.
pub fn start(format: Format, level: LevelFilter) {
    let targets = targets(level);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .init();
}

fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        // At `warn` it quotes the token of Pod Identity that it cannot use. What comes of it is an error of ours.
        .with_target("aws_config", LevelFilter::OFF)
        .with_target(env!("CARGO_CRATE_NAME"), level)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn other_crates_say_little_and_what_quotes_tokens_nothing() {
        let targets = targets(LevelFilter::TRACE);
        assert!(targets.would_enable("kms_plugin::daemon", &Level::TRACE));
        assert!(targets.would_enable("hyper::proto", &Level::WARN));
        assert!(!targets.would_enable("hyper::proto", &Level::INFO));
        assert!(!targets.would_enable("aws_config::ecs", &Level::ERROR));
    }
}
