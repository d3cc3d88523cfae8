//! Alerts that others post: checked, put together with what is known of them, and ended by the clock.
//!
//! In: alerts as they came over the API. Out: [`Transition`]s, as rules make them. The rules of what holds are Alertmanager's:
//! an alert without an end ends when nobody has sent it again for `resolve_timeout`; of two reports of one alert whose times
//! overlap, the earlier start and the later end that was said count.
//!
//! Invariant: pure, time is an argument; at most [`MAX_ALERTS`] alerts.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Alert, Labels, Millis, Transition};

use super::group::MAX_ALERTS;

/// An alert as somebody posts it.
#[derive(Debug, Clone, PartialEq)]
pub struct Posted {
    /// What it is about; empty values count as absent.
    pub labels: Vec<(String, String)>,
    /// Texts.
    pub annotations: Vec<(String, String)>,
    /// Since when; now, if nobody says it.
    pub starts_at: Option<Millis>,
    /// When it ended or will; by time-out, if nobody says it.
    pub ends_at: Option<Millis>,
    /// Where it comes from.
    pub generator_url: String,
}

/// An alert with its end, which may be ahead.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    alert: Alert,
    ends_at: Millis,
    /// Nobody said when it ends.
    by_timeout: bool,
}

impl Report {
    /// Checks and completes what was posted.
    ///
    /// # Errors
    /// In Alertmanager's words.
    pub(super) fn of(posted: Posted, now: Millis, resolve_timeout: Duration) -> Result<Self, String> {
        let starts_at = posted.starts_at.or(posted.ends_at).unwrap_or(now);
        let ends_at = posted.ends_at.unwrap_or(now + resolve_timeout);
        if ends_at < starts_at {
            return Err("start time must be before end time".into());
        }
        let mut labels = posted.labels;
        labels.retain(|(_, value)| !value.is_empty());
        if labels.is_empty() {
            return Err("at least one label pair required".into());
        }
        if labels.iter().any(|(name, _)| name.is_empty()) {
            return Err("invalid label set: invalid name \"\"".into());
        }
        if posted.annotations.iter().any(|(name, _)| name.is_empty()) {
            return Err("invalid annotations: invalid name \"\"".into());
        }
        let alert = Alert {
            labels: Labels::new(labels),
            annotations: Labels::new(posted.annotations),
            starts_at,
            ends_at: None,
            value: f64::NAN,
            generator_url: posted.generator_url,
        };
        Ok(Self { alert, ends_at, by_timeout: posted.ends_at.is_none() })
    }

    fn merged(mut self, older: &Self) -> Self {
        let within = |at: Millis| older.alert.starts_at < at && at < older.ends_at;
        if within(self.ends_at) || within(self.alert.starts_at) {
            self.alert.starts_at = self.alert.starts_at.min(older.alert.starts_at);
            if !older.by_timeout {
                self.ends_at = self.ends_at.max(older.ends_at);
            }
        }
        self
    }
}

/// What others have posted and has not ended.
#[derive(Debug, Default)]
pub(super) struct Outside(HashMap<Labels, Report>);

impl Outside {
    /// Takes a report. Nothing comes of it when there is no room.
    pub(super) fn take(&mut self, report: Report, now: Millis) -> Option<Transition> {
        let older = self.0.get(&report.alert.labels);
        if older.is_none() && self.0.len() >= MAX_ALERTS {
            return None;
        }
        let (known, report) = match older {
            Some(older) => (true, report.merged(older)),
            None => (false, report),
        };
        let mut alert = report.alert.clone();
        if report.ends_at <= now {
            self.0.remove(&alert.labels);
            alert.ends_at = Some(report.ends_at);
            return Some(Transition::Resolved(alert));
        }
        self.0.insert(alert.labels.clone(), report);
        Some(if known { Transition::Still(alert) } else { Transition::Firing(alert) })
    }

    /// Those whose end has come.
    pub(super) fn ended(&mut self, now: Millis) -> Vec<Transition> {
        let over = self.0.extract_if(|_, report| report.ends_at <= now);
        over.map(|(_, report)| Transition::Resolved(Alert { ends_at: Some(report.ends_at), ..report.alert })).collect()
    }

    /// When the next one ends.
    pub(super) fn next_end(&self) -> Option<Millis> {
        self.0.values().map(|report| report.ends_at).min()
    }

    /// When an alert ends, if its poster said so.
    pub(super) fn stated_end(&self, labels: &Labels) -> Option<Millis> {
        self.0.get(labels).filter(|report| !report.by_timeout).map(|report| report.ends_at)
    }

    /// When an alert that others posted ends; nothing for the agent's own.
    pub(super) fn end_of(&self, labels: &Labels) -> Option<Millis> {
        self.0.get(labels).map(|report| report.ends_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn after(minutes: u64) -> Millis {
        NOW + Duration::from_mins(minutes)
    }

    fn posted(starts_at: Option<Millis>, ends_at: Option<Millis>) -> Posted {
        let labels = vec![("alertname".to_owned(), "Queue".to_owned()), ("gone".to_owned(), String::new())];
        Posted { labels, annotations: Vec::new(), starts_at, ends_at, generator_url: String::new() }
    }

    fn report(starts_at: Option<Millis>, ends_at: Option<Millis>, now: Millis) -> Report {
        Report::of(posted(starts_at, ends_at), now, TIMEOUT).unwrap()
    }

    #[test]
    fn an_alert_without_an_end_ends_when_nobody_sends_it_again() {
        let mut all = Outside::default();
        let first = all.take(report(None, None, NOW), NOW).unwrap();
        assert!(matches!(&first, Transition::Firing(alert) if alert.starts_at == NOW && alert.labels.len() == 1));
        let again = all.take(report(None, None, after(4)), after(4)).unwrap();
        assert!(matches!(again, Transition::Still(alert) if alert.starts_at == NOW), "it began when it began");
        assert!(all.ended(after(8)).is_empty());
        assert_eq!(all.next_end(), Some(after(9)));
        let ended = all.ended(after(9));
        assert!(matches!(&ended[..], [Transition::Resolved(alert)] if alert.ends_at == Some(after(9))));
        assert!(all.next_end().is_none() && all.ended(after(10)).is_empty());
    }

    #[test]
    fn an_end_that_was_said_counts_and_a_later_one_said_before_too() {
        let mut all = Outside::default();
        all.take(report(Some(NOW), Some(after(60)), NOW), NOW);
        all.take(report(Some(after(1)), None, after(2)), after(2));
        assert_eq!(all.end_of(&report(None, None, NOW).alert.labels), Some(after(60)));
        let mut all = Outside::default();
        all.take(report(Some(NOW), Some(after(60)), NOW), NOW);
        let ended = all.take(report(Some(NOW), Some(after(3)), after(3)), after(3)).unwrap();
        assert!(matches!(ended, Transition::Still(_)), "as in Alertmanager, the later end wins: {ended:?}");
        let mut all = Outside::default();
        all.take(report(Some(NOW), None, NOW), NOW);
        let ended = all.take(report(Some(NOW), Some(after(3)), after(3)), after(3)).unwrap();
        assert!(matches!(ended, Transition::Resolved(alert) if alert.ends_at == Some(after(3))));
    }

    #[test]
    fn what_cannot_be_an_alert_is_refused_in_alertmanagers_words() {
        let refusal = |change: &dyn Fn(&mut Posted)| {
            let mut bad = posted(None, None);
            change(&mut bad);
            Report::of(bad, NOW, TIMEOUT).unwrap_err()
        };
        assert_eq!(refusal(&|bad| bad.labels.clear()), "at least one label pair required");
        assert_eq!(refusal(&|bad| bad.labels[0].1.clear()), "at least one label pair required");
        assert_eq!(refusal(&|bad| bad.labels[0].0.clear()), "invalid label set: invalid name \"\"");
        assert_eq!(
            refusal(&|bad| (bad.starts_at, bad.ends_at) = (Some(after(2)), Some(after(1)))),
            "start time must be before end time"
        );
        assert_eq!(report(None, Some(after(1)), NOW).alert.starts_at, after(1));
    }
}
