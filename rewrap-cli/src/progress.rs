//! Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere.

use std::{
    cell::Cell,
    fmt,
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::printable::OneLine;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one pass over many objects.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    started: Instant,
    printed: Cell<Instant>,
    done: Cell<u64>,
    total: Option<u64>,
}

impl Progress {
    /// Begins; `total` is what is known of the end.
    pub fn start(what: &'static str, total: Option<u64>) -> Self {
        let bar = stderr().is_terminal().then(|| bar(what, total));
        let now = Instant::now();
        Self {
            what,
            bar,
            started: now,
            printed: Cell::new(now),
            done: Cell::new(0),
            total,
        }
    }

    /// What is being worked on now, such as a resource.
    pub fn at(&self, place: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(OneLine(place).to_string());
        }
    }

    /// So many more objects are done.
    pub fn advance(&self, objects: u64) {
        self.done.set(self.done.get() + objects);
        match &self.bar {
            Some(bar) => bar.inc(objects),
            None if self.printed.get().elapsed() >= LINE_EVERY => {
                self.printed.set(Instant::now());
                eprintln!("{}", self.line());
            }
            None => {}
        }
    }

    /// Takes the bar away; what it said belongs to the report.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self) -> String {
        let done = self.done.get();
        let rate = done as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        match self.total {
            Some(total) => format!("{} {done} of {total} objects, {rate:.0}/s", self.what),
            None => format!("{} {done} objects, {rate:.0}/s", self.what),
        }
    }
}

fn bar(what: &'static str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{prefix} [{bar:32}] {human_pos}/{human_len} {rate} ETA {eta} {wide_msg}",
        ),
        None => (
            ProgressBar::no_length(),
            "{prefix} {spinner} {human_pos} {rate} {wide_msg}",
        ),
    };
    // The template is a constant; if it were wrong, the default style still shows progress.
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Nobody is left to tell if a line of the bar cannot be written.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        })
        .progress_chars("=> ");
    bar.set_style(style);
    bar.set_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
