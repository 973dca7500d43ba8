//! Which cores etcd has, and which its client.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How the cores are shared out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// etcd and its client take them from each other: whatever a client works besides, etcd lacks.
    Shared,
    /// One half is etcd's, the other its client's, as if they were on two machines.
    Apart,
}

impl Cores {
    /// Starts a server. As long as what this gives is kept, this thread has the cores of its client, and so have the
    /// processes that it starts.
    pub(crate) fn start<T>(
        self,
        server: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<(T, Confined)> {
        let all = sched_getaffinity(None)?;
        let confined = Confined { all };
        let mut halves = [CpuSet::new(), CpuSet::new()];
        let cores: Vec<_> = (0..CpuSet::MAX_CPU)
            .filter(|core| all.is_set(*core))
            .collect();
        for (number, core) in cores.iter().enumerate() {
            halves[number * 2 / cores.len()].set(*core);
        }
        let [servers, clients] = match self {
            Self::Apart if cores.len() > 1 => halves,
            Self::Apart => return Err(io::Error::other("one core cannot be shared out")),
            Self::Shared => [all, all],
        };
        sched_setaffinity(None, &servers)?;
        let server = server()?;
        sched_setaffinity(None, &clients)?;
        Ok((server, confined))
    }

    /// What a target says of it.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Shared => "",
            Self::Apart => ", cores of its own",
        }
    }
}

/// Gives this thread all of its cores back when dropped.
pub(crate) struct Confined {
    all: CpuSet,
}

impl Drop for Confined {
    fn drop(&mut self) {
        // It had them before.
        let _ = sched_setaffinity(None, &self.all);
    }
}
