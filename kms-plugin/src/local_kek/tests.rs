use std::{sync::Arc, time::Duration};

use kms_proto::DekSource;
use tokio::time::timeout;

use super::{state_dir::StateDir, *};
use crate::{
    kek::{Kek, Unavailable},
    root::remote::WrappedKek,
};

mod envelopes;
mod machine;
mod opening;
mod puppet;
mod quorum;
mod refusals;
mod reload;
mod renewal;
mod replaced;
mod restarts;
mod silence;

use machine::{Machine, stop, stop_known};
use puppet::{Mood, Puppet};

const GRACE: Duration = Duration::from_secs(3600);

/// Time is paused, so waiting costs none.
async fn until(mut holds: impl FnMut() -> bool) {
    let held = timeout(Duration::from_secs(7200), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    held.await.expect("it never came to that");
}

fn dek() -> DekSource {
    DekSource::new(vec![7; 32])
}

async fn opens(under_roots: &UnderRoots, wrapped: &EncryptedDekSource) -> Result<(), KekError> {
    let opened = under_roots.unwrap(wrapped).await?;
    assert_eq!(opened.expose(), dek().expose());
    Ok(())
}
