//! What a kube-apiserver does with a plugin, over and over.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::contract::{
    Miss,
    call::CallError,
    connection::Connection,
    session::{Session, dek_source},
};

/// Rounds of Status and Encrypt that each apiserver makes after the change.
const ROUNDS_AFTER: usize = 20;
/// Between two rounds of one apiserver.
const PAUSE: Duration = Duration::from_millis(1);

/// What all apiservers have seen together.
pub(super) struct Watch {
    /// The key ids in the order in which they came up, the first of them that of Status before.
    key_ids: Vec<String>,
    /// An answer with a key id that was out of use.
    pub(super) back: Option<String>,
    /// When a new key id must be there; set when the hook has come to its end.
    pub(super) deadline: Option<Instant>,
}

impl Watch {
    /// Before the change, with the key id of Status.
    pub(super) fn new(key_id: &str) -> Self {
        Self {
            key_ids: vec![key_id.to_owned()],
            back: None,
            deadline: None,
        }
    }

    fn is_over(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() > deadline)
    }

    /// Whether the hook has come to its end and this is another key id than before.
    fn is_new(&self, key_id: &str) -> bool {
        self.deadline.is_some() && self.key_ids[0] != key_id
    }

    /// The place of the newest key id of all.
    fn newest(&self) -> usize {
        self.key_ids.len() - 1
    }

    /// Takes note of the key id in an answer to a call that was made when `newest` was the newest.
    fn saw(&mut self, call: &str, key_id: &str, newest: usize) {
        match self.key_ids.iter().position(|known| known == key_id) {
            None => self.key_ids.push(key_id.to_owned()),
            Some(place) if place < newest => {
                let after = &self.key_ids[newest];
                self.back = Some(format!(
                    "{call} answered {key_id:?} after {after:?} was seen"
                ));
            }
            Some(_) => {}
        }
    }
}

/// One apiserver, until it has seen enough of the new key id or has waited for it in vain. Returns
/// how often Status and Encrypt disagreed.
pub(super) async fn poll(session: &Session<'_>, watch: &RefCell<Watch>) -> Result<usize, Miss> {
    let (mut disagreements, mut rounds_after) = (0, 0);
    let mut connection = None;
    while rounds_after < ROUNDS_AFTER {
        let over = watch.borrow().is_over();
        match round(session, &mut connection, watch).await {
            Ok([said, used]) => {
                disagreements += usize::from(said != used);
                if watch.borrow().is_new(&said) {
                    rounds_after += 1;
                } else if over {
                    break;
                }
            }
            // A plugin may be started again to take its new key.
            Err(CallError::Lost { .. } | CallError::Unanswered { .. }) if !over => {
                connection = None;
            }
            Err(error) => return Err(error.into()),
        }
        sleep(PAUSE).await;
    }
    Ok(disagreements)
}

/// Status and then Encrypt, on the connection that is there: their key ids.
async fn round(
    session: &Session<'_>,
    connection: &mut Option<Connection>,
    watch: &RefCell<Watch>,
) -> Result<[String; 2], CallError> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(session.connect().await?),
    };
    let newest = watch.borrow().newest();
    let said = connection.status().await?.key_id;
    watch.borrow_mut().saw("Status", &said, newest);
    let newest = watch.borrow().newest();
    let used = connection.encrypt(&dek_source()).await?.key_id;
    watch.borrow_mut().saw("Encrypt", &used, newest);
    Ok([said, used])
}
