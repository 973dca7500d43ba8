//! Several members of one etcd cluster, of which some may be dead.

use std::{thread::sleep, time::Duration};

use super::{Etcd, Ports, gateway::Stored};
use crate::support::eventually;

/// How many there are: the least that go on without one of them.
const COUNT: usize = 3;

/// Three members.
pub(crate) struct Members {
    members: Vec<Etcd>,
    dead: Option<usize>,
}

impl Members {
    pub(crate) fn start() -> Self {
        Self::of("etcd")
    }

    /// Members whose disks may be slow.
    pub(crate) fn with_failpoints() -> Self {
        Self::of("etcd-failpoints")
    }

    fn of(server: &'static str) -> Self {
        for _ in 0..5 {
            let ports: [Ports; COUNT] = Ports::free("http");
            let parts = ports.iter().enumerate();
            let cluster: Vec<_> = parts.map(|(index, ports)| part(index, *ports)).collect();
            let start = |(index, ports)| {
                Etcd::spawn(
                    server,
                    "http",
                    &name(index),
                    ports,
                    &cluster.join(","),
                    &[] as &[&str],
                )
            };
            let mut members: Vec<_> = ports.into_iter().enumerate().map(start).collect();
            if members.iter_mut().all(Etcd::becomes_ready) {
                return Self {
                    members,
                    dead: None,
                };
            }
        }
        panic!("a member of etcd ended at its start five times; its last words are above");
    }

    /// Client URLs of all.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Etcd::endpoint).collect()
    }

    /// The index of the leader, once there is one.
    pub(crate) fn leader(&self) -> usize {
        eventually("etcd has a leader", || {
            let (_, leader) = self.alive().ids();
            let mut living = (0..COUNT).filter(|index| Some(*index) != self.dead);
            living.find(|index| self.members[*index].ids().0 == leader)
        })
    }

    /// Makes another member the leader.
    pub(crate) fn move_leader(&self) {
        let leader = self.leader();
        let next = (0..COUNT).find(|index| *index != leader && Some(*index) != self.dead);
        let next = next.unwrap();
        self.members[leader].hand_over(&self.members[next].ids().0);
        eventually("another member leads", || {
            (self.leader() == next).then_some(())
        });
    }

    /// Ends one with SIGKILL.
    pub(crate) fn kill(&mut self, index: usize) {
        assert!(self.dead.replace(index).is_none(), "the rest is no quorum");
        self.members[index].kill();
    }

    /// Stops one with SIGSTOP: it holds its connections and answers nothing.
    pub(crate) fn pause(&mut self, index: usize) {
        assert!(self.dead.replace(index).is_none(), "the rest is no quorum");
        self.members[index].pause();
    }

    /// Has the one go on that was stopped.
    pub(crate) fn resume(&mut self) {
        self.members[self.dead.take().unwrap()].resume();
    }

    /// For so long, everything that one writes to its disk takes so much longer: those
    /// [with failpoints](Self::with_failpoints).
    pub(crate) fn slow_disk(&self, index: usize, delay: Duration, time: Duration) {
        self.members[index].slow_disk_by(delay);
        sleep(time);
        self.members[index].slow_disk_by(Duration::ZERO);
    }

    /// Has the files of one take no bytes more; returns when it has died of it, at its next write.
    pub(crate) fn fill_disk(&mut self, index: usize) {
        assert!(self.dead.replace(index).is_none(), "the rest is no quorum");
        self.members[index].dies_of_a_full_disk();
    }

    /// Writes a key under a lease; 0 is none.
    pub(crate) fn put(&self, key: &str, value: &[u8], lease: i64) {
        self.alive().put_with_lease(key, value, lease);
    }

    /// A new lease of so many seconds.
    pub(crate) fn lease(&self, seconds: i64) -> i64 {
        self.alive().lease(seconds)
    }

    /// Forgets all revisions but the newest.
    pub(crate) fn compact(&self) {
        let etcd = self.alive();
        etcd.compact(etcd.revision());
    }

    /// Raises the NOSPACE alarm: no member takes writes.
    pub(crate) fn alarm(&self) {
        self.alive().alarm();
    }

    /// Ends it.
    pub(crate) fn disarm(&self) {
        self.alive().disarm();
    }

    /// Starts again the one that is dead.
    pub(crate) fn restart(&mut self) {
        self.members[self.dead.unwrap()].restart();
        self.dead = None;
    }

    /// One more, which follows the others and serves nobody yet.
    pub(crate) fn add_learner(&self) -> Etcd {
        let [ports] = Ports::free("http");
        let others = self.members.iter().enumerate();
        let others = others.map(|(index, member)| part(index, member.ports));
        let cluster: Vec<_> = others.chain([part(COUNT, ports)]).collect();
        self.alive().add_learner(&ports.peer_url());
        let learner = Etcd::spawn(
            "etcd",
            "http",
            &name(COUNT),
            ports,
            &cluster.join(","),
            &["--initial-cluster-state=existing"],
        );
        eventually("the learner has joined", || {
            learner.is_learner().then_some(())
        });
        learner
    }

    /// Everything under keys that begin with `prefix`.
    pub(crate) fn list(&self, prefix: &str) -> Vec<Stored> {
        self.alive().list(prefix)
    }

    /// A member that lives.
    pub(crate) fn alive(&self) -> &Etcd {
        let index = usize::from(self.dead == Some(0));
        &self.members[index]
    }
}

fn name(index: usize) -> String {
    format!("test-{index}")
}

/// A member as `--initial-cluster` names it.
fn part(index: usize, ports: Ports) -> String {
    format!("{}={}", name(index), ports.peer_url())
}
