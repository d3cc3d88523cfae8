//! Canaries on their way: which is the present one, what became of it, and the dead-man ping when it is proven.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{self, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, error, info, warn};

use super::Dispatcher;
use crate::model::{Alert, Labels, Millis};
use crate::notify::aside::Asides;
use crate::notify::canary::alerts::{not_arrived, not_fired};
use crate::notify::canary::watch::{Late, Watch};
use crate::notify::canary::{NAME, Planned, goes_by, is_canary};
use crate::notify::channels::arrival::Arrival;
use crate::notify::channels::{Channel, ChannelSettings as _, FailureReason, IntegrationId, Retry, ping};
use crate::notify::failing::{Failing, Subject};
use crate::notify::group::Batch;
use crate::notify::metrics::Metrics;
use crate::notify::notification::{Notification, Reason};

/// From one look for a canary to the next: at first, and at most.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A ping is tried so often in its period.
const PINGS: u32 = 5;

/// The canary of the configuration.
pub(super) struct Canary {
    planned: Planned,
    watch: Watch,
    /// Those of our own, once a rule has fired it.
    labels: Option<Labels>,
    /// What of the present period still runs ends with it.
    period: Option<(CancellationToken, DropGuard)>,
}

/// Whether a canary was found where messages arrive.
pub(super) struct Word {
    id: IntegrationId,
    start: Millis,
    found: Result<(), String>,
}

impl Dispatcher {
    /// Takes up what the configuration says. A period that has begun goes on.
    pub(super) fn adopt_canary(&mut self, planned: Option<Planned>, now: Millis) {
        let before = self.canary.take();
        if planned.as_ref().is_some_and(|planned| planned.ping.is_none()) && self.live.len() < 2 {
            warn!("should the canary not arrive, there is nobody to be told: name another receiver, or a ping");
        }
        let Some(planned) = planned else { return };
        let labels = before.as_ref().and_then(|before| before.labels.clone());
        self.canary = Some(match before.filter(|before| before.watch.every() == planned.every) {
            Some(before) => Canary { planned, ..before },
            None => Canary { watch: Watch::new(planned.every, now), planned, labels, period: None },
        });
    }

    /// Where the new routes do not lead the present canary, it need not arrive.
    pub(super) fn drop_canary_legs(&mut self, now: Millis) {
        let Some(labels) = self.canary.as_ref().and_then(|canary| canary.labels.clone()) else { return };
        let legs = self.canary_legs(&labels);
        let Some(canary) = &mut self.canary else { return };
        canary.watch.keep_legs(|id| legs.contains(id));
        if let Some(start) = canary.watch.newly_proven() {
            self.ping(start, now);
        }
    }

    /// The channels that the canary goes by, as far as it is known, and whether a dead man's switch is pinged.
    pub(super) fn canary_goes_to(&self) -> (Vec<IntegrationId>, bool) {
        let Some(canary) = &self.canary else { return (Vec::new(), false) };
        let legs = canary.labels.as_ref().map(|labels| self.canary_legs(labels));
        (legs.unwrap_or_default(), canary.planned.ping.is_some())
    }

    /// The channels that an alert with these labels goes by, if it is a canary.
    fn canary_legs(&self, labels: &Labels) -> Vec<IntegrationId> {
        let receivers: HashSet<_> =
            self.routes.taking(labels).into_iter().map(|route| route.receiver.as_str()).collect();
        let is_leg = |id: &&IntegrationId| receivers.contains(&*id.receiver) && goes_by(id.kind);
        self.live.iter().map(|live| &live.id).filter(is_leg).cloned().collect()
    }

    /// Begins a period when our own rule has fired its canary; this is the alert as its group keeps it.
    pub(super) fn note_canary(&mut self, alert: &Alert, now: Millis) {
        if !is_canary(&alert.labels) {
            return;
        }
        let legs = self.canary_legs(&alert.labels);
        let Some(canary) = &mut self.canary else { return };
        if canary.watch.is_present(alert.starts_at) {
            return;
        }
        let late = canary.watch.begin(alert.starts_at, legs, now);
        canary.labels = Some(alert.labels.clone());
        let token = self.supervisor.stop_token().child_token();
        canary.period = Some((token.clone(), token.drop_guard()));
        self.tell_late(late);
        // Also when a reload has forgotten that it was missed.
        let ended = self.failing.ends(&Subject::CanaryMissing, Millis::now());
        self.tell_of(ended, &Subject::CanaryMissing);
        self.end_failing_of_others();
    }

    /// Whether these are the labels of our own canary: what others say of an alert of that name says nothing of it.
    pub(super) fn is_own_canary(&self, labels: &Labels) -> bool {
        self.canary.as_ref().is_some_and(|canary| canary.labels.as_ref() == Some(labels))
    }

    /// Whether the canary that fired then is the one that is to arrive by this channel now.
    pub(super) fn awaits_canary(&self, id: &IntegrationId, start: Millis) -> bool {
        let mut watches = self.canary.iter().map(|canary| &canary.watch);
        watches.any(|watch| watch.is_present(start) && watch.legs().any(|leg| leg == id))
    }

    /// The present canary, where a batch tells of it.
    pub(super) fn canary_of(&self, batch: &Batch) -> Option<Millis> {
        let watch = &self.canary.as_ref()?.watch;
        if batch.labels.get("alertname") != Some(NAME) {
            return None;
        }
        let mut firing = batch.alerts.iter().map(|(_, alert)| alert).filter(|alert| alert.ends_at.is_none());
        let canary = firing.find(|alert| watch.is_present(alert.starts_at) && self.is_own_canary(&alert.labels))?;
        Some(canary.starts_at)
    }

    /// Silences and inhibition hold for canaries, too.
    pub(super) fn note_quiet_canary(&mut self, receiver: &Arc<str>) {
        let Some(canary) = &mut self.canary else { return };
        for live in self.live.iter().filter(|live| live.id.receiver == *receiver) {
            canary.watch.trouble(&live.id, "a silence or an inhibition keeps it quiet");
        }
    }

    /// Each period's canary is a new message, whatever became of the one before: also after a restart or a missed evaluation,
    /// when nobody has said that it ended.
    pub(super) fn send_canary_anew(&mut self, batch: &Batch, id: &IntegrationId) {
        if self.canary.as_ref().is_some_and(|canary| canary.watch.is_unsent(id)) {
            let told: Vec<u64> = batch.alerts.iter().map(|(fingerprint, _)| *fingerprint).collect();
            self.outbox.forget(batch, id, &told);
            self.outbox.superfluous(&batch.id, id);
        }
    }

    /// It is under way.
    pub(super) fn note_sent_canary(&mut self, id: &IntegrationId) {
        if let Some(canary) = &mut self.canary {
            canary.watch.sent(id);
        }
    }

    /// A channel has said yes: it has arrived, unless it is to be looked for.
    pub(super) fn canary_taken(&mut self, id: &IntegrationId, start: Millis, message: String) {
        let Some(canary) = self.canary.as_mut().filter(|canary| canary.watch.is_present(start)) else { return };
        let arrival = canary.planned.arrivals.iter().find(|arrival| arrival.is_about(&id.receiver, id.kind));
        let (Some(arrival), Some((period, _))) = (arrival, &canary.period) else {
            return self.canary_arrived(id, start);
        };
        canary.watch.trouble(id, "it was taken, but not looked for yet");
        let look = look_for(Arc::clone(arrival), (id.clone(), start, message), self.saying.clone());
        let period = period.clone();
        self.supervisor.spawn_once(async move {
            let _: Option<()> = period.run_until_cancelled(look).await;
        });
    }

    /// Somebody has looked for it.
    pub(super) fn hear_of_canary(&mut self, Word { id, start, found }: Word) {
        match (found, &mut self.canary) {
            (Ok(()), _) => self.canary_arrived(&id, start),
            (Err(why), Some(canary)) if canary.watch.is_present(start) => canary.watch.trouble(&id, why),
            _ => {}
        }
    }

    fn canary_arrived(&mut self, id: &IntegrationId, start: Millis) {
        // A reload may have taken the channel away meanwhile.
        let is_awaited = self.awaits_canary(id, start);
        let Some(canary) = self.canary.as_mut().filter(|_| is_awaited) else { return };
        let now = Millis::now();
        canary.watch.arrived(id);
        self.metrics.canary_arrived(id, start, now);
        debug!(to = %id, "the canary has arrived");
        if let Some(start) = canary.watch.newly_proven() {
            self.ping(start, now);
        }
        let subject = Subject::Canary(id.clone());
        let ended = self.failing.ends(&subject, now);
        self.tell_of(ended, &subject);
    }

    /// All canaries of the period have arrived.
    fn ping(&self, start: Millis, now: Millis) {
        let Some((canary, (period, _))) =
            self.canary.as_ref().and_then(|canary| Some((canary, canary.period.as_ref()?)))
        else {
            return;
        };
        let (Some(ping), Some(ends)) = (canary.planned.ping.clone(), canary.watch.ends()) else { return };
        let ends = self.clock.instant(ends);
        let notification = well(start, now, &self.external_url);
        let (metrics, period) = (self.metrics.clone(), period.clone());
        self.supervisor.spawn_once(async move {
            let _: Option<()> = period.run_until_cancelled(ping_until(ping, notification, ends, metrics)).await;
        });
    }

    /// Tells of what has not come in its time.
    pub(super) fn miss_canaries(&mut self, now: Millis) {
        let late = self.canary.as_mut().map(|canary| canary.watch.late(now)).unwrap_or_default();
        self.tell_late(late);
    }

    /// When [`Self::miss_canaries`] may have something to tell.
    pub(super) fn next_canary_due(&self) -> Option<Millis> {
        self.canary.as_ref().and_then(|canary| canary.watch.next_due())
    }

    fn tell_late(&mut self, late: Vec<Late>) {
        let now = Millis::now();
        for late in late {
            let (subject, alert) = match late {
                Late::Arrival(id, why) => {
                    error!(to = %id, why, "the canary has not arrived");
                    let alert = not_arrived(&id, &why, now);
                    (Subject::Canary(id), alert)
                }
                Late::Canary => {
                    error!("no rule has fired the canary");
                    (Subject::CanaryMissing, not_fired(now))
                }
            };
            // A reload may have taken it away.
            if subject.integration().is_none_or(|id| self.live.iter().any(|live| live.id == *id)) {
                let news = self.failing.fires(&subject, alert, now);
                self.tell_of(news, &subject);
            }
        }
    }

    /// Where the canary is not sent any more, nobody can say that it arrives.
    fn end_failing_of_others(&mut self) {
        let Some(canary) = &self.canary else { return };
        let legs: HashSet<_> = canary.watch.legs().cloned().collect();
        let others = |subject: &Subject| matches!(subject, Subject::Canary(id) if !legs.contains(id));
        let others: Vec<_> = self.failing.all().map(|(subject, _)| subject.clone()).filter(others).collect();
        for subject in others {
            let ended = self.failing.ends(&subject, Millis::now());
            self.tell_of(ended, &subject);
        }
    }
}

/// A channel has given the canary up for now.
pub(super) fn refused(failing: &mut Failing, id: &IntegrationId, (reason, what): (FailureReason, &str)) -> Vec<Alert> {
    let colon = if what.is_empty() { "" } else { ": " };
    let (why, now) = (format!("{}{colon}{what}", reason.as_str()), Millis::now());
    failing.fires(&Subject::Canary(id.clone()), not_arrived(id, &why, now), now)
}

/// Looks until it is there; whoever drops this ends it.
async fn look_for(
    arrival: Arc<Arrival>,
    (id, start, message): (IntegrationId, Millis, String),
    saying: UnboundedSender<Word>,
) {
    let (mut wait, longest) = LOOK_AGAIN;
    let mut last = None;
    loop {
        time::sleep(wait).await;
        let found = arrival.look(&message).await;
        let is_found = found.is_ok();
        // Only what is new is said, so that little waits to be heard.
        if is_found || last.as_ref() != found.as_ref().err() {
            last = found.clone().err();
            let _ = saying.send(Word { id: id.clone(), start, found });
        }
        if is_found {
            return;
        }
        wait = (wait * 2).min(longest);
    }
}

/// Tries within half of what is left, unless the other end asks for a longer wait: each wait is twice the one before.
async fn ping_until(ping: Arc<dyn Channel>, notification: Notification, ends: Instant, metrics: Metrics) {
    let waits = 2_u32.pow(PINGS - 1) - 1;
    let mut wait = ends.saturating_duration_since(Instant::now()) / 2 / waits;
    for attempt in 1..=PINGS {
        let asked = match time::timeout_at(ends, ping.send(&notification)).await {
            Ok(Ok(_)) => {
                info!("the dead man's switch was pinged");
                return metrics.canary_pinged(Millis::now());
            }
            Ok(Err(error)) => {
                warn!(%error, attempt, "the dead man's switch was not pinged");
                if let Retry::After(asked) = error.retry { asked } else { Duration::ZERO }
            }
            Err(_) => return warn!("the dead man's switch did not answer within the period"),
        };
        let pause = wait.max(asked);
        if attempt == PINGS || Instant::now() + pause >= ends {
            return;
        }
        time::sleep(pause).await;
        wait *= 2;
    }
}

/// What a ping speaks of: a canary that is over, so that nothing fires.
fn well(start: Millis, now: Millis, external_url: &Arc<str>) -> Notification {
    let labels = Labels::new([("alertname", NAME)]);
    let alert = Alert {
        labels: labels.clone(),
        annotations: Labels::new([("summary", "All canaries of the period have arrived.")]),
        starts_at: start,
        ends_at: Some(now),
        value: 1.0,
        generator_url: String::new(),
    };
    Notification {
        receiver: "canary".into(),
        integration: (ping::Settings::KIND, 0),
        group_key: format!("{{}}/{{{NAME}}}").into(),
        group_labels: labels,
        alerts: vec![Arc::new(alert)],
        reason: Reason::AllResolved,
        external_url: Arc::clone(external_url),
        at: now,
        receipt: None,
        possible_duplicate: false,
        asides: Asides::default(),
    }
}

#[cfg(test)]
#[path = "canaries_tests.rs"]
mod tests;
