use std::{
    future::poll_fn,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    task::Poll,
};

/// How many calls are answered before their answers are written: few enough that the client has work
/// while the next ones are answered, enough that a write is not a call of the kernel for each.
const GROUP: u32 = 32;

/// Lets calls that came together be answered in groups.
///
/// All tasks of the daemon share one queue, first in, first out. Of many calls that came at once a
/// connection would write all answers after the last, and the client would wait for all of them;
/// whoever goes to the end of the queue lets it write those before.
#[derive(Debug, Default)]
pub(super) struct Groups {
    begun: AtomicU32,
}

impl Groups {
    /// Waits for a place in a group: not at all, or until the answers of the group before are written.
    pub(super) async fn place(&self) {
        loop {
            let place = self.begun.fetch_add(1, Relaxed);
            if place < GROUP {
                return;
            }
            // Also where the call is given up meanwhile.
            let _next = (place == GROUP).then(|| NextGroup(self));
            to_the_end_of_the_queue().await;
        }
    }
}

/// Begins the next group when it is dropped.
struct NextGroup<'a>(&'a Groups);

impl Drop for NextGroup<'_> {
    fn drop(&mut self) {
        self.0.begun.store(0, Relaxed);
    }
}

/// Not `tokio::task::yield_now`, which asks the kernel for news first.
async fn to_the_end_of_the_queue() {
    let mut was_there = false;
    poll_fn(|context| {
        if was_there {
            return Poll::Ready(());
        }
        was_there = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    const CALLS: usize = 3 * GROUP as usize + 5;

    #[tokio::test]
    async fn what_waits_beside_many_calls_is_run_after_every_group() {
        let groups = Rc::new(Groups::default());
        let order = Rc::new(RefCell::new(Vec::new()));
        let local = LocalSet::new();
        for call in 0..CALLS {
            let (groups, order) = (Rc::clone(&groups), Rc::clone(&order));
            local.spawn_local(async move {
                groups.place().await;
                order.borrow_mut().push(Some(call));
                if call % GROUP as usize == 0 {
                    // What a connection does with the first answer of a group.
                    spawn_local(async move { order.borrow_mut().push(None) });
                }
            });
        }
        local.await;
        let order = order.take();
        let calls: Vec<_> = order.iter().copied().flatten().collect();
        assert_eq!(calls, (0..CALLS).collect::<Vec<_>>());
        let groups: Vec<_> = order.split(Option::is_none).map(<[_]>::len).collect();
        assert_eq!(groups, [32, 32, 32, 5, 0]);
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_holds_nobody() {
        let groups = Groups::default();
        for _ in 0..GROUP {
            groups.place().await;
        }
        let given_up = Box::pin(groups.place());
        let other = Box::pin(groups.place());
        let (mut given_up, other) = (given_up, other);
        let pending = poll_fn(|context| Poll::Ready(given_up.as_mut().poll(context))).await;
        assert!(pending.is_pending());
        drop(given_up);
        other.await;
        assert_eq!(groups.begun.load(Relaxed), 1);
    }
}
