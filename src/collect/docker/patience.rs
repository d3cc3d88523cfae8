//! Which containers the engine is not asked about for a while, because it did not answer of late.
//!
//! A look waits for its slowest request. A container whose requests hang look after look would make each of them long;
//! after [`PATIENT`] such looks it is asked in every [`PAUSE`]th only. Each look says whom it left out.

use std::collections::{HashMap, HashSet};

/// Looks in a row in which a container may hang before it is left out.
const PATIENT: u8 = 2;
/// Looks for which it then is left out.
const PAUSE: u8 = 3;

/// What is known of those that hang, by container id.
#[derive(Debug, Default)]
pub(super) struct Hanging(HashMap<String, Hung>);

#[derive(Debug, Default)]
struct Hung {
    looks: u8,
    pause: u8,
}

impl Hanging {
    /// Whether a container hung in the last look in which it was asked about. It comes last.
    pub(super) fn hung(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Whether it is to be left out of this look.
    pub(super) fn leaves_out(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|hung| hung.pause > 0)
    }

    /// Takes in how a look went for each container that is there: `None` for those that were left out.
    pub(super) fn learn<'a>(&mut self, outcomes: impl Iterator<Item = (&'a str, Option<bool>)>) {
        let mut there = HashSet::new();
        for (id, hung) in outcomes {
            there.insert(id);
            match hung {
                Some(false) => {
                    self.0.remove(id);
                }
                Some(true) => {
                    let hung = self.0.entry(id.to_owned()).or_default();
                    hung.looks = hung.looks.saturating_add(1);
                    hung.pause = if hung.looks >= PATIENT { PAUSE } else { 0 };
                }
                None => {
                    if let Some(hung) = self.0.get_mut(id) {
                        hung.pause = hung.pause.saturating_sub(1);
                    }
                }
            }
        }
        self.0.retain(|id, _| there.contains(id.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hangs_twice_is_left_out_for_three_looks_and_asked_again() {
        let mut hanging = Hanging::default();
        let mut asked = Vec::new();
        for _ in 0..7 {
            let ask = !hanging.leaves_out("a");
            asked.push(ask);
            hanging.learn([("a", ask.then_some(true))].into_iter());
        }
        assert_eq!(asked, [true, true, false, false, false, true, false]);
        hanging.learn([("a", Some(false))].into_iter());
        assert!(!hanging.hung("a") && !hanging.leaves_out("a"));
        hanging.learn([("a", Some(true))].into_iter());
        hanging.learn(std::iter::empty());
        assert!(!hanging.hung("a"), "it is gone");
    }
}
