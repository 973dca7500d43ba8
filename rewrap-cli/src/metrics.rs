//! The figures of a run in a file of Prometheus' text format, for the textfile collector of
//! node_exporter (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::{
    cell::{Cell, RefCell},
    fmt::{self, Display},
    fs, io,
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::progress::{Figures, Rates, tell};

/// How often the file is written.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// A file that always holds the whole of the newest figures: it is replaced, never written over.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    started: SystemTime,
    written: Cell<Instant>,
    figures: RefCell<Figures>,
    /// Whether somebody was told that it cannot be written any more.
    told: Cell<bool>,
}

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the metrics to {}; nothing was written to etcd", path.display())]
pub struct MetricsError {
    path: PathBuf,
    source: io::Error,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
struct End {
    at: SystemTime,
    exit_code: u8,
}

impl MetricsFile {
    /// A run begins.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin(path: &Path) -> Result<Self, MetricsError> {
        let file = Self {
            path: path.to_owned(),
            started: SystemTime::now(),
            written: Cell::new(Instant::now()),
            figures: RefCell::default(),
            told: Cell::new(false),
        };
        match file.replace(None) {
            Ok(()) => Ok(file),
            Err(source) => Err(MetricsError {
                path: file.path,
                source,
            }),
        }
    }

    /// The newest figures; they are in the file some seconds later.
    pub fn publish(&self, figures: &Figures) {
        self.figures.replace(figures.clone());
        if self.written.get().elapsed() >= WRITE_EVERY {
            self.written.set(Instant::now());
            self.write(None);
        }
    }

    /// The run ended with an exit code.
    pub fn end(&self, exit_code: u8) {
        let mut figures = self.figures.borrow_mut();
        figures.in_flight = 0;
        figures.rates = Rates::default();
        drop(figures);
        let at = SystemTime::now();
        self.write(Some(End { at, exit_code }));
    }

    /// A run does not fail because nobody can look on.
    fn write(&self, end: Option<End>) {
        if let Err(error) = self.replace(end)
            && !self.told.replace(true)
        {
            tell(format_args!(
                "warning: cannot write the metrics to {} any more: {error}",
                self.path.display()
            ));
        }
    }

    fn replace(&self, end: Option<End>) -> io::Result<()> {
        let name = self.path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        // node_exporter reads what ends in `.prom`.
        let mut temporary = name.to_owned();
        temporary.push(format!(".{}", process::id()));
        let temporary = self.path.with_file_name(temporary);
        let mut text = String::new();
        let figures = self.figures.borrow();
        expose(&mut text, &figures, self.started, end).map_err(io::Error::other)?;
        let replaced =
            fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &self.path));
        if replaced.is_err() {
            // It may not even be there.
            let _ = fs::remove_file(&temporary);
        }
        replaced
    }
}

fn expose(
    out: &mut impl fmt::Write,
    figures: &Figures,
    started: SystemTime,
    end: Option<End>,
) -> fmt::Result {
    let Figures {
        rewrapped,
        bytes,
        conflicts,
        vanished,
        failed,
        backed_off,
        in_flight,
        left,
        rates,
        databases,
    } = figures;
    let mut metric = |name: &str, kind: &str, help: &str, samples: &[(String, &dyn Display)]| {
        if samples.is_empty() {
            return Ok(());
        }
        writeln!(out, "# HELP ringfence_rewrap_{name} {help}")?;
        writeln!(out, "# TYPE ringfence_rewrap_{name} {kind}")?;
        for (labels, value) in samples {
            writeln!(out, "ringfence_rewrap_{name}{labels} {value}")?;
        }
        Ok(())
    };
    let version = label("version", env!("CARGO_PKG_VERSION"));
    metric("build_info", "gauge", "The program.", &[(version, &1)])?;
    metric(
        "objects_total",
        "counter",
        "Objects of which nothing is left to rewrite, by what became of them.",
        &[
            (label("result", "rewrapped"), rewrapped),
            (label("result", "vanished"), vanished),
        ],
    )?;
    let mut one = |name: &str, kind: &str, help: &str, value: &dyn Display| {
        metric(name, kind, help, &[(String::new(), value)])
    };
    one(
        "failed_objects",
        "gauge",
        "Objects that the newest pass could not rewrite.",
        failed,
    )?;
    one(
        "left_objects",
        "gauge",
        "Objects that this pass has yet to rewrite.",
        left,
    )?;
    one(
        "bytes_total",
        "counter",
        "Bytes of the values that were replaced.",
        bytes,
    )?;
    one(
        "conflicts_total",
        "counter",
        "Compare-and-swaps that lost to another writer.",
        conflicts,
    )?;
    one(
        "back_offs_total",
        "counter",
        "How often fewer writes were let into flight because etcd was slow or said so.",
        backed_off,
    )?;
    one(
        "in_flight",
        "gauge",
        "Writes that wait for an answer of etcd.",
        in_flight,
    )?;
    one(
        "objects_per_second",
        "gauge",
        "The speed of the last ten seconds.",
        &rates.objects,
    )?;
    one(
        "bytes_per_second",
        "gauge",
        "The speed of the last ten seconds.",
        &rates.bytes,
    )?;
    one(
        "start_time_seconds",
        "gauge",
        "When the run began, since 1970.",
        &seconds(started),
    )?;
    one(
        "running",
        "gauge",
        "1 until the run has ended.",
        &u8::from(end.is_none()),
    )?;
    if let Some(End { at, exit_code }) = end {
        one(
            "finish_time_seconds",
            "gauge",
            "When the run ended, since 1970.",
            &seconds(at),
        )?;
        one(
            "success",
            "gauge",
            "1 if the run ended with nothing failed.",
            &u8::from(exit_code == 0),
        )?;
        one("exit_code", "gauge", "What the run ended with.", &exit_code)?;
    }
    let in_use = databases.iter().map(|database| {
        let value: &dyn Display = &database.in_use;
        (label("store", &database.store), value)
    });
    let quota = databases.iter().filter_map(|database| {
        let value: &dyn Display = database.quota.as_ref()?;
        Some((label("store", &database.store), value))
    });
    metric(
        "db_in_use_bytes",
        "gauge",
        "What the data of the fullest member take.",
        &in_use.collect::<Vec<_>>(),
    )?;
    metric(
        "db_quota_bytes",
        "gauge",
        "Where it refuses writes.",
        &quota.collect::<Vec<_>>(),
    )
}

fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', r"\\");
    let value = value.replace('"', "\\\"").replace('\n', r"\n");
    format!("{{{name}=\"{value}\"}}")
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("store", "a\"b\\c\nd"), r#"{store="a\"b\\c\nd"}"#);
    }
}
