//! Remembers what was asked less often than at each look.
//!
//! Invariant: what is remembered is at most one pace and one look old, and comes from the connection that is in use:
//! a new one begins without memory.

use std::time::Duration;

use tokio::time::Instant;

use crate::collect::Look;
use crate::model::Block;

/// How long such answers are good for. Exporters ask for them at each scrape, which costs a server more than all the rest.
pub const PACE: Duration = Duration::from_mins(1);

/// The last answer and when it is due again.
#[derive(Debug)]
pub struct Paced<T>(Option<(Instant, T)>);

impl<T> Paced<T> {
    /// Nothing was asked yet.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether it is time to ask.
    pub fn due(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|(asked, _)| now.saturating_duration_since(*asked) >= PACE)
    }

    /// Remembers an answer.
    pub fn set(&mut self, asked: Instant, answer: T) {
        self.0 = Some((asked, answer));
    }

    /// Forgets: what could not be asked again is absent, not old.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// The last answer.
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, answer)| answer)
    }
}

/// Puts remembered points into a look.
pub fn show(blocks: &[Block], look: &mut Look) {
    for block in blocks {
        for point in &block.points {
            look.point(&block.family, point.suffix, point.labels.clone(), point.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_for_one_pace() {
        let (now, mut paced) = (Instant::now(), Paced::new());
        assert!(paced.due(now));
        paced.set(now, 7);
        assert!(!paced.due(now + PACE / 2));
        assert_eq!(paced.get(), Some(&7));
        assert!(paced.due(now + PACE));
    }
}
