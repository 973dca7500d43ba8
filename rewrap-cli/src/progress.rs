//! Progress on stderr: bars on a terminal, a plain line every few seconds elsewhere.

use std::{
    cell::Cell,
    fmt,
    io::{IsTerminal as _, stderr},
    sync::LazyLock,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::printable::OneLine;

mod figures;
mod meter;
mod run;

pub use figures::{Database, Figures};
pub use meter::Rates;
pub use run::{RunProgress, Target};

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// All bars stand together at the end of what was printed.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints a line on stderr, above the bars if there are any.
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    BARS.suspend(|| eprintln!("{line}"));
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Bars,
    Lines,
    Quiet,
}

impl Way {
    fn of(quiet: bool) -> Self {
        match quiet {
            true => Self::Quiet,
            false if stderr().is_terminal() => Self::Bars,
            false => Self::Lines,
        }
    }
}

/// The progress of reading, whose end is not known.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    way: Way,
    bar: Option<ProgressBar>,
    started: Instant,
    printed: Cell<Instant>,
    done: Cell<u64>,
}

impl Progress {
    /// Begins; shows nothing where `quiet`.
    pub fn start(what: &'static str, quiet: bool) -> Self {
        let way = Way::of(quiet);
        let now = Instant::now();
        Self {
            what,
            way,
            bar: (way == Way::Bars).then(|| bar(what)),
            started: now,
            printed: Cell::new(now),
            done: Cell::new(0),
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
        if let Some(bar) = &self.bar {
            bar.inc(objects);
        } else if self.way == Way::Lines && self.printed.get().elapsed() >= LINE_EVERY {
            self.printed.set(Instant::now());
            let done = self.done.get();
            let rate = done as f64 / self.started.elapsed().as_secs_f64().max(0.001);
            tell(format_args!(
                "{} {done} objects, {rate:.0} objects/s",
                self.what
            ));
        }
    }

    /// Takes the bar away; what it said belongs to the report.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
            BARS.remove(&bar);
        }
    }
}

fn bar(what: &'static str) -> ProgressBar {
    let bar = BARS.add(ProgressBar::no_length());
    let style = style("{prefix} {spinner} {human_pos} objects, {rate} {wide_msg}").with_key(
        "rate",
        |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Nobody is left to tell if a line of the bar cannot be written.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        },
    );
    bar.set_style(style);
    bar.set_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// The template is a constant; if it were wrong, the default style still shows progress.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
