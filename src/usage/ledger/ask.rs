//! A question's limits: how long it may take, and that it ends when nobody waits for the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// After how many steps of SQLite's machine the limits are looked at; some tens of microseconds.
const STEPS: i32 = 10_000;

/// Raises its flag when it is dropped: whoever asked has the answer or has gone.
#[derive(Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// What the one who answers looks at.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks, and interrupts the answer when its time is over or the flag is up.
pub fn within<T>(
    connection: &mut Connection,
    limit: Duration,
    cancelled: Arc<AtomicBool>,
    ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let deadline = Instant::now() + limit;
    let over = move || cancelled.load(Ordering::Relaxed) || Instant::now() >= deadline;
    connection.progress_handler(STEPS, Some(over))?;
    let answer = ask(connection);
    connection.progress_handler(STEPS, None::<fn() -> bool>)?;
    answer
}
