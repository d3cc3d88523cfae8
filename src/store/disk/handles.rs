//! The blocks' open files: few at a time, however many blocks there are.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More than the blocks of a day, so that a question over all of it opens none twice; far below what a process may open.
const MOST: usize = 64;

/// The files that were read last, with their blocks' numbers; the latest at the end.
#[derive(Debug, Default)]
pub(super) struct Handles(Mutex<VecDeque<(u64, Arc<File>)>>);

impl Handles {
    /// A block's file. It is opened if it is not, and the one that was not read for longest is closed for it.
    pub(super) fn get(&self, number: u64, open: impl FnOnce() -> io::Result<File>) -> io::Result<Arc<File>> {
        let known = self.take(number);
        // Without the lock: who reads another block does not wait for this one's disk.
        let file = known.map_or_else(|| open().map(Arc::new), Ok)?;
        let mut all = self.lock();
        all.push_back((number, Arc::clone(&file)));
        if all.len() > MOST {
            all.pop_front();
        }
        Ok(file)
    }

    /// Closes a block's file, when nobody reads it any more.
    pub(super) fn close(&self, number: u64) {
        while self.take(number).is_some() {}
    }

    fn take(&self, number: u64) -> Option<Arc<File>> {
        let mut all = self.lock();
        let at = all.iter().position(|(known, _)| *known == number)?;
        all.remove(at).map(|(_, file)| file)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<File>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_were_read_last_stay_open() {
        let handles = Handles::default();
        let is_opened = |number| {
            let mut is_opened = false;
            let open = || {
                is_opened = true;
                tempfile::tempfile()
            };
            handles.get(number, open).unwrap();
            is_opened
        };
        let all = 0..MOST as u64;
        assert!(all.clone().all(is_opened));
        assert!(!all.clone().any(is_opened));
        assert!(is_opened(1000) && is_opened(0), "one comes, the oldest goes");
        assert!(!is_opened(5));
        handles.close(5);
        assert!(is_opened(5));
        assert_eq!(handles.lock().len(), MOST);
    }
}
