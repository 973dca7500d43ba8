//! The progress of a pass that rewrites: which resource, how much of it and of all, how fast, and how
//! the databases stand.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    time::{Duration, Instant},
};

use indicatif::{FormattedDuration, HumanCount, ProgressBar};
use tokio::time::interval;

use super::{BARS, Database, Figures, LINE_EVERY, Way, meter::Meter, style, tell};
use crate::{printable::OneLine, report::bytes};

/// How often the figures are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A resource with objects to rewrite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `secrets`, `deployments.apps`
    pub resource: String,
    /// How many.
    pub objects: u64,
}

/// The progress of one pass. Resources that are done stay on the screen as a line each; below are a
/// bar for the resource that is worked on and one for all.
#[derive(Debug)]
pub struct RunProgress {
    way: Way,
    targets: Vec<Target>,
    total: u64,
    done: Cell<u64>,
    done_there: Vec<Cell<u64>>,
    /// The index of the target that is worked on, and since when.
    at: Cell<Option<(usize, Instant)>>,
    meter: RefCell<Meter>,
    bars: Option<Bars>,
}

#[derive(Debug)]
struct Bars {
    resource: ProgressBar,
    all: ProgressBar,
    facts: ProgressBar,
}

impl RunProgress {
    /// Begins a pass over these, which ends after `limit` objects; shows nothing where `quiet`.
    pub fn start(targets: Vec<Target>, limit: Option<u64>, quiet: bool) -> Self {
        let way = Way::of(quiet);
        let all: u64 = targets.iter().map(|target| target.objects).sum();
        let total = limit.map_or(all, |limit| limit.min(all));
        Self {
            way,
            done_there: vec![Cell::new(0); targets.len()],
            targets,
            total,
            done: Cell::new(0),
            at: Cell::new(None),
            meter: RefCell::default(),
            bars: (way == Way::Bars).then(|| Bars::new(total)),
        }
    }

    /// The resource that is worked on now.
    pub fn at(&self, resource: &str) {
        self.leave();
        let index = self.targets.iter().position(|t| t.resource == resource);
        self.at.set(index.map(|index| (index, Instant::now())));
        let (Some(bars), Some(index)) = (&self.bars, index) else {
            return;
        };
        let target = &self.targets[index];
        bars.resource.set_prefix(OneLine(resource).to_string());
        bars.resource.set_length(target.objects);
        bars.resource.set_position(self.done_there[index].get());
        let place = format!("all, resource {} of {}", index + 1, self.targets.len());
        bars.all.set_prefix(place);
    }

    /// So many more objects of it are done.
    pub fn advance(&self, objects: u64) {
        self.done.set(self.done.get() + objects);
        if let Some((index, _)) = self.at.get() {
            let there = &self.done_there[index];
            there.set(there.get() + objects);
        }
    }

    /// Looks at the figures again and again, as long as it is polled: shows them, and hands them on.
    pub async fn follow(
        &self,
        figures: impl Fn() -> Figures,
        publish: impl Fn(&Figures),
    ) -> Infallible {
        let mut printed = Instant::now();
        let mut looks = interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let now = Instant::now();
            let mut figures = figures();
            figures.left = self.left();
            figures.rates = self
                .meter
                .borrow_mut()
                .look(now, self.done.get(), figures.bytes);
            if let Some(bars) = &self.bars {
                if let Some((index, _)) = self.at.get() {
                    bars.resource.set_position(self.done_there[index].get());
                }
                bars.all.set_position(self.done.get());
                bars.all.set_message(format!("ETA {}", self.eta(&figures)));
                bars.facts.set_message(facts(&figures));
            } else if self.way == Way::Lines && now.duration_since(printed) >= LINE_EVERY {
                printed = now;
                tell(format_args!("{}", self.line(&figures)));
            }
            publish(&figures);
        }
    }

    /// Takes the bars away; what they said belongs to the report.
    pub fn finish(self) {
        self.leave();
        if let Some(bars) = &self.bars {
            for bar in [&bars.resource, &bars.all, &bars.facts] {
                bar.finish_and_clear();
                BARS.remove(bar);
            }
        }
    }

    /// What was done in the resource that was worked on stays on the screen.
    fn leave(&self) {
        let Some((index, since)) = self.at.take() else {
            return;
        };
        let done = self.done_there[index].get();
        if self.way == Way::Bars && done > 0 {
            let Target { resource, objects } = &self.targets[index];
            let resource = OneLine(resource).to_string();
            let [done, objects] = [done, *objects].map(|count| HumanCount(count).to_string());
            let took = FormattedDuration(since.elapsed());
            tell(format_args!("{resource:<32} {done}/{objects} in {took}"));
        }
    }

    /// Objects that are still to be done.
    pub fn left(&self) -> u64 {
        self.total.saturating_sub(self.done.get())
    }

    fn eta(&self, figures: &Figures) -> String {
        let seconds = self.left() as f64 / figures.rates.objects;
        match Duration::try_from_secs_f64(seconds) {
            Ok(eta) => FormattedDuration(eta).to_string(),
            // It stands still.
            Err(_) => "unknown".to_owned(),
        }
    }

    fn line(&self, figures: &Figures) -> String {
        let place = self.at.get().map_or_else(String::new, |(index, _)| {
            let Target { resource, objects } = &self.targets[index];
            let done = self.done_there[index].get();
            format!("{} {done} of {objects}, ", OneLine(resource))
        });
        format!(
            "rewriting {place}all {} of {} objects, ETA {}, {}",
            self.done.get(),
            self.total,
            self.eta(figures),
            facts(figures)
        )
    }
}

impl Bars {
    fn new(total: u64) -> Self {
        let counted = style("{prefix:32!} [{bar:24.green}] {human_pos}/{human_len} {msg}");
        let counted = counted.progress_chars("=> ");
        let bar = |bar: ProgressBar, style| {
            let bar = BARS.add(bar);
            bar.set_style(style);
            bar
        };
        Self {
            resource: bar(ProgressBar::new(0), counted.clone()),
            all: bar(ProgressBar::new(total), counted),
            facts: bar(ProgressBar::no_length(), style("{msg:.dim}")),
        }
    }
}

/// How it goes, beside how far it is.
fn facts(figures: &Figures) -> String {
    let Figures {
        conflicts,
        failed,
        rates,
        ..
    } = figures;
    let mut text = format!(
        "{:.0} objects/s, {:.2} MiB/s, {conflicts} {}",
        rates.objects,
        rates.bytes / f64::from(1 << 20),
        if *conflicts == 1 {
            "conflict"
        } else {
            "conflicts"
        },
    );
    if *failed > 0 {
        text.push_str(&format!(", {failed} failed"));
    }
    if let Some(database) = fullest(&figures.databases) {
        text.push_str(&format!(", database {}", bytes(database.in_use)));
        if let Some(quota) = database.quota {
            text.push_str(&format!(" of {}", bytes(quota)));
        }
    }
    text
}

fn fullest(databases: &[Database]) -> Option<&Database> {
    // Parts per 1000 of the quota; where there is none, it is never full.
    let full = |database: &&Database| {
        let quota = database.quota.unwrap_or(u64::MAX).max(1);
        u128::from(database.in_use) * 1000 / u128::from(quota)
    };
    databases.iter().max_by_key(full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Rates;

    fn target(resource: &str, objects: u64) -> Target {
        Target {
            resource: resource.to_owned(),
            objects,
        }
    }

    #[test]
    fn a_line_says_where_it_is_how_fast_and_how_full() {
        let targets = vec![target("secrets", 10), target("configmaps", 90)];
        let progress = RunProgress::start(targets, None, true);
        progress.at("secrets");
        progress.advance(10);
        progress.at("configmaps");
        progress.advance(30);
        let database = |store: &str, in_use, quota| Database {
            store: store.to_owned(),
            in_use,
            quota,
        };
        let mut figures = Figures {
            conflicts: 1,
            failed: 2,
            rates: Rates {
                objects: 4.0,
                bytes: 3e6,
            },
            databases: vec![
                database("default", 3 << 20, Some(2 << 30)),
                database("events", 2 << 20, Some(4 << 20)),
            ],
            ..Figures::default()
        };
        assert_eq!(
            progress.line(&figures),
            "rewriting configmaps 30 of 90, all 40 of 100 objects, ETA 00:00:15, 4 objects/s, 2.86 MiB/s, \
             1 conflict, 2 failed, database 2.00 MiB of 4.00 MiB"
        );
        figures.rates = Rates::default();
        assert!(progress.line(&figures).contains("ETA unknown, 0 objects/s"));
        // A resource of which nothing was to be rewritten, when it was counted.
        progress.at("leases");
        progress.advance(1);
        let line = progress.line(&figures);
        assert!(line.starts_with("rewriting all 41 of 100"), "{line}");
    }

    #[test]
    fn a_limit_is_the_end() {
        let progress = RunProgress::start(vec![target("secrets", 10)], Some(4), true);
        progress.advance(4);
        assert_eq!(progress.left(), 0);
    }
}
