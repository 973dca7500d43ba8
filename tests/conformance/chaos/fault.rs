use std::{thread::sleep, time::Duration};

use rustix::process::Signal;

use super::Scene;
use crate::support::{dice::Dice, plugin::Plugin, rewrap::Running};

/// What goes wrong. All is well again before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `rewrap` is killed, and started again.
    Rewrap,
    /// etcd's leader is killed, and comes back.
    Leader,
    /// A member that does not lead is killed, and comes back.
    Follower,
    /// etcd's leader answers nothing for a while, as on a disk that hangs.
    Hang,
    /// Another member leads.
    Election,
    /// The plugin is killed, and comes back.
    Plugin,
    /// kube-apiserver is killed, and comes back cold.
    Apiserver,
    /// The disk under etcd's leader is slow: it answers, and what it is told to write is written late.
    SlowDisk,
    /// The disk under etcd's leader takes nothing more, of which it dies; it comes back when there is
    /// room.
    FullDisk,
    /// etcd takes no writes, as with its quota used up.
    NoSpace,
}

impl Fault {
    pub(super) const ALL: [Self; 10] = [
        Self::Rewrap,
        Self::Leader,
        Self::Follower,
        Self::Hang,
        Self::Election,
        Self::Plugin,
        Self::Apiserver,
        Self::SlowDisk,
        Self::FullDisk,
        Self::NoSpace,
    ];
}

impl Scene {
    pub(super) fn inflict(&mut self, fault: Fault, run: &mut Running, dice: &mut Dice) {
        let a_while = Duration::from_millis(200 + dice.below(2000) as u64);
        match fault {
            Fault::Rewrap => {
                run.child.kill().unwrap();
                run.child.wait().unwrap();
                *run = self.run();
            }
            Fault::Leader | Fault::Follower => {
                let leader = self.cluster.etcd.leader();
                let other = usize::from(fault == Fault::Follower);
                self.cluster.etcd.kill((leader + other) % 3);
                sleep(a_while);
                self.cluster.etcd.restart();
            }
            Fault::Hang => {
                let leader = self.cluster.etcd.leader();
                self.cluster.etcd.pause(leader);
                sleep(a_while);
                self.cluster.etcd.resume();
            }
            Fault::Election => self.cluster.etcd.move_leader(),
            Fault::Plugin => {
                self.plugin.signal(Signal::KILL);
                self.plugin.wait();
                sleep(a_while);
                self.plugin = Plugin::start(&self.site);
            }
            Fault::Apiserver => self.cluster.restart(),
            Fault::SlowDisk => {
                let leader = self.cluster.etcd.leader();
                let delay = Duration::from_millis(20 + dice.below(500) as u64);
                self.cluster.etcd.slow_disk(leader, delay, a_while);
            }
            Fault::FullDisk => {
                let leader = self.cluster.etcd.leader();
                self.cluster.etcd.fill_disk(leader);
                sleep(a_while);
                self.cluster.etcd.restart();
            }
            Fault::NoSpace => {
                self.cluster.etcd.alarm();
                sleep(a_while);
                self.cluster.etcd.disarm();
            }
        }
    }
}
