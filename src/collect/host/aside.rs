//! Reads of the kernel's files aside from the async threads.
//!
//! In: what to read. Out: the outcome, or a time-out.
//!
//! Invariant: while one read hangs, no other is started, so that a hung driver costs one thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{CollectError, Reason};

/// One reader, with at most one thread.
#[derive(Debug, Default)]
pub(in crate::collect) struct Aside {
    /// Whether a thread still reads for an earlier look.
    reading: Arc<AtomicBool>,
}

impl Aside {
    /// Runs `work` on a thread named `name`, and waits for it until `deadline`.
    pub(in crate::collect) async fn run<T: Send + 'static>(
        &self,
        name: &str,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CollectError> {
        if self.reading.swap(true, Ordering::AcqRel) {
            return Err(CollectError::new(Reason::Timeout, "the kernel still has not answered the look before"));
        }
        let (send, receive) = oneshot::channel();
        let reading = Arc::clone(&self.reading);
        let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            reading.store(false, Ordering::Release);
            let _ = outcome.map(|outcome| send.send(outcome));
        });
        if let Err(error) = started {
            self.reading.store(false, Ordering::Release);
            return Err(CollectError::new(Reason::Limit, format!("cannot start a thread: {error}")));
        }
        match timeout_at(deadline, receive).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(CollectError::new(Reason::Internal, "the thread that reads the kernel's files panicked")),
            Err(_) => Err(CollectError::new(Reason::Timeout, "the kernel did not answer in time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_read_that_hangs_has_one_thread_and_is_no_end() {
        let aside = Aside::default();
        let (release, hung) = std::sync::mpsc::channel::<()>();
        let soon = || Instant::now() + Duration::from_millis(50);
        let first = aside.run("test", soon(), move || hung.recv().is_err()).await;
        assert_eq!(first.unwrap_err().reason(), Reason::Timeout);
        assert_eq!(aside.run("test", soon(), || 1).await.unwrap_err().reason(), Reason::Timeout);
        release.send(()).unwrap();
        while aside.reading.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        let later = Instant::now() + Duration::from_secs(5);
        assert_eq!(aside.run("test", later, || 1).await, Ok(1));
        let panicked: Result<(), _> = aside.run("test", later, || panic!("as told")).await;
        assert_eq!(panicked.unwrap_err().reason(), Reason::Internal);
        assert_eq!(aside.run("test", later, || 2).await, Ok(2));
    }
}
