//! How many keys the next SCAN asks for, and when the server is left alone, by how soon it answers.
//!
//! In: how long each answer took. Out: the next COUNT, and pauses. Pure.
//!
//! A server runs one command at a time, and SLOWLOG measures each by the wall clock: on a busy machine a command is slow
//! because its server has to wait for a processor in the middle of it. Who hammers a server makes it wait, because
//! schedulers give way to those who sleep. So we begin small, grow while answers come as soon as they can, and rest
//! as long as we work.
//!
//! Invariant: COUNT is from [`LEAST`] to [`MOST`].

use std::time::Duration;

/// Keys of the first SCAN, and of those to a server that has no time: Redis' own default.
pub const LEAST: u16 = 10;
/// Keys of a SCAN to a server that has time. It then takes some 80 microseconds.
pub const MOST: u16 = 100;
/// Added after each prompt answer: the most is reached within some fifty.
const GROWTH: u16 = 2;
/// An answer so much later than usual is slow: a millisecond is what must not be reached.
const SLACK: Duration = Duration::from_micros(500);
/// Asked for so long in a row, the server is left alone for as long.
const BURST: Duration = Duration::from_millis(2);
/// The rest after a slow answer, which is seldom alone.
const LONG_REST: Duration = Duration::from_millis(10);
/// The usual is what the fastest take, the network included. It follows slower answers by this part of the difference,
/// so that a way that became longer is not taken for a slow server for ever.
const FORGETTING: u32 = 64;

/// The pace of one pass.
#[derive(Debug)]
pub struct Stride {
    count: u16,
    usual: Option<Duration>,
    /// Asked for so long since the last rest.
    worked: Duration,
}

impl Stride {
    /// Small, as nothing is known of the server.
    pub fn new() -> Self {
        Self { count: LEAST, usual: None, worked: Duration::ZERO }
    }

    /// Keys to ask for now.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Takes in how long an answer took. Gives how long to leave the server alone now, if at all.
    pub fn answered(&mut self, took: Duration) -> Option<Duration> {
        let usual = self.usual.map_or(took, |usual| usual.min(took) + took.saturating_sub(usual) / FORGETTING);
        self.usual = Some(usual);
        let slow = took > usual + SLACK;
        self.count = if slow { (self.count / 2).max(LEAST) } else { (self.count + GROWTH).min(MOST) };
        self.worked += took;
        let rest = if slow { LONG_REST } else { BURST };
        (slow || self.worked >= BURST).then(|| {
            self.worked = Duration::ZERO;
            rest
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: Duration = Duration::from_micros(200);
    const LATE: Duration = Duration::from_millis(3);

    fn counts(stride: &mut Stride, answers: usize, took: Duration) -> Vec<u16> {
        (0..answers)
            .map(|_| {
                stride.answered(took);
                stride.count()
            })
            .collect()
    }

    #[test]
    fn it_grows_while_answers_are_prompt_and_never_above_the_most() {
        let mut stride = Stride::new();
        assert_eq!(stride.count(), 10);
        let grown = counts(&mut stride, 200, PROMPT);
        assert_eq!((grown[0], grown[44], grown[199]), (12, 100, 100));
    }

    #[test]
    fn a_slow_answer_halves_it_at_once_and_never_below_the_least() {
        let mut stride = Stride::new();
        counts(&mut stride, 100, PROMPT);
        assert_eq!(counts(&mut stride, 5, LATE), [50, 25, 12, 10, 10]);
        assert_eq!(stride.answered(LATE), Some(LONG_REST), "and is followed by a rest");
    }

    #[test]
    fn a_long_way_is_not_a_slow_server() {
        let mut stride = Stride::new();
        assert_eq!(counts(&mut stride, 45, LATE).last(), Some(&100));
        // One that became longer is known as such after a while.
        let longer = LATE + Duration::from_millis(2);
        assert_eq!(counts(&mut stride, 10, longer).last(), Some(&LEAST));
        assert_eq!(counts(&mut stride, 200, longer).last(), Some(&MOST));
    }

    #[test]
    fn the_server_rests_as_long_as_it_works() {
        let mut stride = Stride::new();
        let rests: Vec<bool> = (0..20).map(|_| stride.answered(PROMPT).is_some()).collect();
        assert_eq!(rests.iter().filter(|rest| **rest).count(), 2, "2 ms after each 2 ms: {rests:?}");
        assert!(rests[9] && rests[19]);
    }
}
