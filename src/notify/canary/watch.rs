//! The books of the canary: which has fired, where it must arrive, and what has not by the end of its period.
//!
//! Invariant: pure, time is an argument: `now` for timers; a canary's `start` only names it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Millis;
use crate::notify::channels::IntegrationId;

/// The first canary after a start comes within a period, once the agent has looked at itself.
const FIRST: Duration = Duration::from_mins(1);

/// So many periods from one canary to the next: one that was not evaluated is no alarm, should the next be late besides.
const PATIENCE: f64 = 2.5;

/// What is known.
#[derive(Debug)]
pub struct Watch {
    every: Duration,
    period: Option<Period>,
    /// By then the next canary must have fired.
    expected_by: Millis,
    /// It has not.
    is_missing: bool,
}

#[derive(Debug)]
struct Period {
    /// Since when its canary fires, by the rule.
    start: Millis,
    ends: Millis,
    legs: BTreeMap<IntegrationId, Leg>,
    is_proven: bool,
    is_over: bool,
}

/// One channel that a canary is sent by.
#[derive(Debug, Default)]
struct Leg {
    is_sent: bool,
    has_arrived: bool,
    trouble: Option<String>,
}

/// Something that has not come in its time.
#[derive(Debug, PartialEq, Eq)]
pub enum Late {
    /// The canary by this channel, and what is known of why.
    Arrival(IntegrationId, String),
    /// The canary itself: no rule has fired it.
    Canary,
}

impl Watch {
    /// Expects a first canary before long.
    pub fn new(every: Duration, now: Millis) -> Self {
        Self { every, period: None, expected_by: now + every.mul_f64(PATIENCE).max(FIRST), is_missing: false }
    }

    /// From one canary to the next.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Whether this canary is the present one.
    pub fn is_present(&self, start: Millis) -> bool {
        self.period.as_ref().is_some_and(|period| period.start == start)
    }

    /// A new canary has fired, which must arrive by these channels. What did not arrive in the period before, if nobody knows
    /// yet.
    pub fn begin(&mut self, start: Millis, legs: impl IntoIterator<Item = IntegrationId>, now: Millis) -> Vec<Late> {
        let late = self.close();
        self.is_missing = false;
        self.expected_by = now + self.every.mul_f64(PATIENCE);
        let legs = legs.into_iter().map(|id| (id, Leg::default())).collect();
        self.period = Some(Period { start, ends: now + self.every, legs, is_proven: false, is_over: false });
        late
    }

    /// The channels by which the present canary must arrive.
    pub fn legs(&self) -> impl Iterator<Item = &IntegrationId> {
        self.period.iter().flat_map(|period| period.legs.keys())
    }

    /// When the present period ends.
    pub fn ends(&self) -> Option<Millis> {
        self.period.as_ref().map(|period| period.ends)
    }

    /// Whether the present canary has still to be sent by a channel.
    pub fn is_unsent(&self, id: &IntegrationId) -> bool {
        self.period.as_ref().and_then(|period| period.legs.get(id)).is_some_and(|leg| !leg.is_sent)
    }

    /// It is being sent.
    pub fn sent(&mut self, id: &IntegrationId) {
        if let Some(leg) = self.leg(id) {
            leg.is_sent = true;
        }
    }

    /// Something keeps it from arriving, so far.
    pub fn trouble(&mut self, id: &IntegrationId, what: impl Into<String>) {
        if let Some(leg) = self.leg(id) {
            leg.trouble = Some(what.into());
        }
    }

    /// The present canary has arrived.
    pub fn arrived(&mut self, id: &IntegrationId) {
        if let Some(leg) = self.leg(id) {
            leg.has_arrived = true;
        }
    }

    /// By the other channels it need not arrive any more.
    pub fn keep_legs(&mut self, is_kept: impl Fn(&IntegrationId) -> bool) {
        if let Some(period) = &mut self.period {
            period.legs.retain(|id, _| is_kept(id));
        }
    }

    /// The present canary, when it has now arrived by every channel: once a period. Where it goes nowhere,
    /// nothing is proven.
    pub fn newly_proven(&mut self) -> Option<Millis> {
        let period = self.period.as_mut()?;
        let all = !period.legs.is_empty() && period.legs.values().all(|leg| leg.has_arrived);
        (all && !std::mem::replace(&mut period.is_proven, true)).then_some(period.start)
    }

    /// What should have come by now, each said once.
    pub fn late(&mut self, now: Millis) -> Vec<Late> {
        let is_over = self.period.as_ref().is_some_and(|period| period.ends <= now);
        let mut late = if is_over { self.close() } else { Vec::new() };
        if self.expected_by <= now && !std::mem::replace(&mut self.is_missing, true) {
            late.push(Late::Canary);
        }
        late
    }

    /// When [`Self::late`] may have something to say.
    pub fn next_due(&self) -> Option<Millis> {
        let ends = self.period.as_ref().filter(|period| !period.is_over).map(|period| period.ends);
        let expected = (!self.is_missing).then_some(self.expected_by);
        [ends, expected].into_iter().flatten().min()
    }

    /// Ends a period, once.
    fn close(&mut self) -> Vec<Late> {
        let Some(period) = self.period.as_mut().filter(|period| !period.is_over) else { return Vec::new() };
        period.is_over = true;
        let absent = period.legs.iter().filter(|(_, leg)| !leg.has_arrived);
        let why = |leg: &Leg| leg.trouble.clone().unwrap_or_else(|| "it was not taken within its period".into());
        absent.map(|(id, leg)| Late::Arrival(id.clone(), why(leg))).collect()
    }

    fn leg(&mut self, id: &IntegrationId) -> Option<&mut Leg> {
        self.period.as_mut()?.legs.get_mut(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_mins(1);

    fn id(receiver: &str) -> IntegrationId {
        IntegrationId { receiver: receiver.into(), kind: "email", index: 0 }
    }

    fn at(seconds: i64) -> Millis {
        Millis(seconds * 1000)
    }

    #[test]
    fn a_period_is_proven_once_all_its_canaries_have_arrived() {
        let mut watch = Watch::new(EVERY, at(0));
        assert_eq!(watch.newly_proven(), None);
        assert_eq!(watch.begin(at(7), [id("a"), id("b")], at(30)), []);
        assert!(watch.is_present(at(7)) && watch.is_unsent(&id("a")) && !watch.is_unsent(&id("c")));
        watch.sent(&id("a"));
        assert!(!watch.is_unsent(&id("a")));
        watch.arrived(&id("a"));
        assert_eq!(watch.newly_proven(), None, "one is on its way");
        watch.arrived(&id("b"));
        assert_eq!((watch.newly_proven(), watch.newly_proven()), (Some(at(7)), None));
        assert_eq!(watch.late(at(90)), []);
        watch.begin(at(67), [], at(90));
        assert_eq!(watch.newly_proven(), None, "a canary that goes nowhere proves nothing");
    }

    #[test]
    fn what_has_not_arrived_by_the_end_of_its_period_is_said_once_with_what_is_known() {
        let mut watch = Watch::new(EVERY, at(0));
        watch.begin(at(30), [id("a"), id("b"), id("c")], at(30));
        watch.arrived(&id("a"));
        watch.trouble(&id("c"), "a silence");
        assert_eq!((watch.late(at(89)), watch.next_due()), (vec![], Some(at(90))));
        let none = "it was not taken within its period".to_owned();
        let both = [Late::Arrival(id("b"), none.clone()), Late::Arrival(id("c"), "a silence".into())];
        assert_eq!(watch.late(at(90)), both);
        assert_eq!((watch.late(at(100)), watch.next_due()), (vec![], Some(at(180))));
        // The next canary may come before anybody has looked.
        watch.begin(at(90), [id("b")], at(101));
        assert_eq!(watch.begin(at(150), [id("b")], at(161)), [Late::Arrival(id("b"), none)]);
    }

    #[test]
    fn a_canary_that_nobody_fires_is_missed_until_it_flies_again() {
        let mut watch = Watch::new(EVERY, at(0));
        assert_eq!((watch.late(at(149)), watch.next_due()), (vec![], Some(at(150))));
        assert_eq!((watch.late(at(150)), watch.late(at(500)), watch.next_due()), (vec![Late::Canary], vec![], None));
        assert_eq!(watch.begin(at(510), [], at(510)), []);
        assert_eq!(watch.begin(at(570), [], at(570)), []);
        assert_eq!((watch.late(at(719)), watch.late(at(720))), (vec![], vec![Late::Canary]));
        assert_eq!(Watch::new(Duration::from_secs(2), at(0)).next_due(), Some(at(60)), "time for the first look");
    }
}
