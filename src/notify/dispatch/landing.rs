//! What comes back from the workers: who has heard, who has not, and what that means for the group.

use super::{Dispatcher, canaries};
use crate::model::{Labels, Millis};
use crate::notify::canary::is_canary;
use crate::notify::channels::{FailureReason, IntegrationId};
use crate::notify::failing::{Subject, is_own};
use crate::notify::group::Batch;
use crate::notify::sent::States;
use crate::notify::worker::{Failure, Outcome};

/// A notification under way.
pub(super) struct Flight {
    pub(super) to: IntegrationId,
    pub(super) states: States,
    /// The flush it belongs to.
    pub(super) flush: u64,
    /// A later flush wanted to tell this receiver of this group.
    pub(super) owed: bool,
    /// The canary that it is, with the message's id.
    pub(super) canary: Option<(Millis, String)>,
}

/// A flush of which some integrations are still being told.
pub(super) struct Flush {
    pub(super) batch: Batch,
    pub(super) number: u64,
    pub(super) under_way: usize,
    /// Someone has not heard, so ended alerts must stay.
    pub(super) untold: bool,
}

impl Dispatcher {
    /// A notification has been delivered or given up.
    pub(super) fn landed(&mut self, number: u64, outcome: Outcome) {
        let Some(flight) = self.flights.remove(&number) else {
            return;
        };
        let is_awaited = flight.canary.as_ref().is_some_and(|(start, _)| self.awaits_canary(&flight.to, *start));
        let Some(flush) = self.flushes.get_mut(&flight.flush) else {
            return;
        };
        flush.under_way -= 1;
        let mut news = Vec::new();
        let mut subject = Subject::Notifications(flight.to.clone());
        let mut is_canceled = false;
        let mut taken = None;
        match outcome {
            Outcome::Delivered(receipt) => {
                // From when it has it, as in Alertmanager: a reminder after exactly a multiple of the group's interval
                // comes with the next flush there, too.
                let receipt = (receipt, self.clock.now());
                self.outbox.told((&flush.batch, flush.number), flight.states, &flight.to, receipt);
                news.extend(self.failing.recovered(&flight.to, Millis::now()));
                taken = flight.canary;
            }
            Outcome::MadeRoom => flush.untold = true,
            Outcome::Failed(Failure { reason, what, maybe_arrived }) => {
                flush.untold = true;
                is_canceled = reason == FailureReason::Canceled;
                self.outbox.gave_up(&flush.batch.id, &flight.to, maybe_arrived);
                let all = |is: fn(&Labels) -> bool| flush.batch.alerts.iter().all(|(_, alert)| is(&alert.labels));
                if self.canary.is_some() && all(is_canary) {
                    // Another's, or an older one, says nothing of ours.
                    if !is_canceled && is_awaited {
                        subject = Subject::Canary(flight.to.clone());
                        news = canaries::refused(&mut self.failing, &flight.to, (reason, &what));
                    }
                } else if !is_canceled && !all(is_own) {
                    news = self.failing.failed(&flight.to, reason, &what, Millis::now());
                }
            }
        }
        self.changed |= !news.is_empty();
        if flight.owed || is_canceled {
            self.groups.hurry(&flush.batch.id, self.clock.now());
        }
        if flush.under_way == 0 {
            let flush = self.flushes.remove(&flight.flush);
            if let Some(flush) = flush.filter(|flush| !flush.untold) {
                self.groups.settle(&flush.batch);
            }
        }
        self.tell_of(news, &subject);
        if let Some((start, message)) = taken {
            self.canary_taken(&flight.to, start, message);
        }
    }
}
