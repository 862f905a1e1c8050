//! A wake-up call for one task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;

/// Wakes the one task that waits here. Calls while it does not wait are kept, as one, for its next wait.
///
/// For a task that waits again and again, as every connection does: unlike with `tokio::sync::Notify` nothing is
/// registered for a wait and removed after it, which costs more than a small message.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    called: AtomicBool,
    waker: AtomicWaker,
}

impl Wake {
    /// Wakes the task, or keeps the call.
    pub(crate) fn call(&self) {
        self.called.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready, once for all calls since the last time. Only one task may ask.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        // Without a write while there is no call.
        if self.take() {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        // A call between the two found no waker, or an old one.
        if self.take() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn take(&self) -> bool {
        self.called.load(Ordering::Acquire) && self.called.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_call_is_followed_by_a_wake_up() {
        const ROUNDS: u32 = 20_000;
        let (there, back) = (Arc::new(Wake::default()), Arc::new(Wake::default()));
        let other = tokio::spawn({
            let (there, back) = (Arc::clone(&there), Arc::clone(&back));
            async move {
                for _ in 0..ROUNDS {
                    poll_fn(|context| there.poll(context)).await;
                    back.call();
                }
            }
        });
        // A lost call would leave both waiting for ever.
        for _ in 0..ROUNDS {
            there.call();
            poll_fn(|context| back.poll(context)).await;
        }
        other.await.unwrap();
    }

    #[tokio::test]
    async fn calls_that_nobody_waits_for_are_kept_as_one() {
        let wake = Wake::default();
        wake.call();
        wake.call();
        let poll = || poll_fn(|context| Poll::Ready(wake.poll(context)));
        assert!(poll().await.is_ready());
        assert!(poll().await.is_pending());
    }
}
