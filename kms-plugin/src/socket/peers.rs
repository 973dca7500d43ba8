use std::collections::BTreeSet;

use rustix::process::geteuid;
use tokio::net::unix::UCred;

/// Who may talk to us: the uids and gids of processes at the other end of a connection, as the
/// kernel knows them (`SO_PEERCRED`, unix(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// These users may.
    pub uids: BTreeSet<u32>,
    /// Members of these groups (their primary group) may.
    pub gids: BTreeSet<u32>,
    /// Whether [`Self::OVERFLOW_ID`] counts as a user or group at all.
    pub allow_overflow_id: bool,
}

/// The process at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process id, where the kernel can tell.
    pub pid: Option<i32>,
}

impl Peers {
    /// What every id looks like that our user namespace cannot map (user_namespaces(7)), so it
    /// names nobody in particular.
    pub const OVERFLOW_ID: u32 = 65534;

    /// Root and ourselves; the overflow id is never among them.
    pub fn default_uids() -> BTreeSet<u32> {
        [0, geteuid().as_raw()]
            .into_iter()
            .filter(|uid| *uid != Self::OVERFLOW_ID)
            .collect()
    }

    /// Whether `peer` may talk to us.
    pub fn allow(&self, peer: Peer) -> bool {
        let counts = |id: u32| self.allow_overflow_id || id != Self::OVERFLOW_ID;
        counts(peer.uid)
            && (self.uids.contains(&peer.uid) || counts(peer.gid) && self.gids.contains(&peer.gid))
    }
}

impl From<UCred> for Peer {
    fn from(credentials: UCred) -> Self {
        Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
            pid: credentials.pid(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32) -> Peer {
        Peer {
            uid,
            gid,
            pid: None,
        }
    }

    #[test]
    fn a_listed_user_or_group_may_and_nobody_else() {
        let peers = Peers {
            uids: [0, 7].into(),
            gids: [9].into(),
            allow_overflow_id: false,
        };
        assert!(peers.allow(peer(0, 0)));
        assert!(peers.allow(peer(7, 1)));
        assert!(peers.allow(peer(8, 9)));
        assert!(!peers.allow(peer(8, 7)));
        assert!(!peers.allow(peer(9, 0)));
    }

    #[test]
    fn the_overflow_id_counts_only_if_forced() {
        let mut peers = Peers {
            uids: [Peers::OVERFLOW_ID].into(),
            gids: [Peers::OVERFLOW_ID, 9].into(),
            allow_overflow_id: false,
        };
        assert!(!peers.allow(peer(Peers::OVERFLOW_ID, 9)));
        assert!(!peers.allow(peer(1, Peers::OVERFLOW_ID)));
        assert!(peers.allow(peer(1, 9)));
        peers.allow_overflow_id = true;
        assert!(peers.allow(peer(Peers::OVERFLOW_ID, 1)));
        assert!(peers.allow(peer(1, Peers::OVERFLOW_ID)));
    }
}
