//! Sends one Alertmanager what it is to hear: a batch after the other, so that no older state overtakes a newer one.
//!
//! What cannot be delivered now is tried again with growing waits, and says then what holds then. What an Alertmanager refuses
//! for good (it has taken those of the batch that are right) waits for the alerts' next turn.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::model::{Alert, Labels, Millis};
use crate::notify::channels::{ChannelError, Endpoint, Retry};
use crate::notify::retry::backoff;
use crate::runtime::supervise::Supervisor;

use super::book::Book;
use super::metrics::Stats;
use super::queue::Queue;
use super::relabel::{Relabel, relabel};
use super::settings::Alertmanager;

/// A dead Alertmanager that comes back has heard of everything after so long.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// What waits when the agent stops may still be sent in this time.
const GRACE: Duration = Duration::from_secs(2);

/// One Alertmanager, ready to be asked.
pub(super) struct Line {
    settings: Alertmanager,
    relabel: Vec<Relabel>,
    url: Arc<str>,
    endpoint: Endpoint,
}

impl Line {
    /// Builds the client. `relabel` goes before the Alertmanager's own.
    pub(super) fn build(settings: &Alertmanager, relabel: &[Relabel]) -> Result<Self, String> {
        let endpoint = Endpoint::new(settings.url()?, &settings.http, settings.timeout)?;
        let relabel = relabel.iter().chain(&settings.relabel).cloned().collect();
        Ok(Self { url: settings.shown().into(), relabel, endpoint, settings: settings.clone() })
    }

    /// Where it is, without credentials.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

/// One Alertmanager in use.
pub(super) struct Sender {
    url: Arc<str>,
    line: ArcSwap<Line>,
    book: Arc<Mutex<Book>>,
    queue: Queue,
    stats: Stats,
    /// A new configuration may work where the old one did not.
    renewed: Notify,
    /// Of the agent.
    stopping: CancellationToken,
    stop: CancellationToken,
}

impl Sender {
    pub(super) fn start(line: Line, book: Arc<Mutex<Book>>, supervisor: &Supervisor) -> Arc<Self> {
        let stopping = supervisor.stop_token().clone();
        let stop = stopping.child_token();
        let (url, queue, stats, renewed) = (Arc::clone(&line.url), Queue::default(), Stats::default(), Notify::new());
        caution(&line);
        let line = ArcSwap::from_pointee(line);
        let sender = Arc::new(Self { url, line, book, queue, stats, renewed, stopping, stop: stop.clone() });
        let worker = Arc::clone(&sender);
        supervisor.spawn(format!("alertmanager {}", sender.url), stop, move || {
            let worker = Arc::clone(&worker);
            async move { worker.run().await }
        });
        sender
    }

    /// Goes on with new settings for the same Alertmanager.
    pub(super) fn adopt(&self, line: Line) {
        let old = self.line.load();
        if old.settings != line.settings || old.relabel != line.relabel {
            caution(&line);
            self.line.store(Arc::new(line));
            self.renewed.notify_one();
        }
    }

    /// It is no longer configured.
    pub(super) fn retire(&self) {
        self.stop.cancel();
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    async fn run(&self) {
        // Also what is under way at the stop, to an Alertmanager that does not answer.
        let limit = async {
            self.stopping.cancelled().await;
            time::sleep(GRACE).await;
        };
        tokio::select! {
            () = self.work() => {}
            () = limit => {}
        }
    }

    async fn work(&self) {
        let mut failures = 0;
        while self.stop.run_until_cancelled(self.queue.more()).await.is_some() {
            let Some(wait) = self.turn(&mut failures).await else { continue };
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.renewed.notified() => {}
                () = time::sleep(wait) => {}
            }
        }
        if self.stopping.is_cancelled() {
            // What has just ended should not have to end by itself.
            while self.turn(&mut failures).await.is_none() && self.waits() {}
        }
    }

    fn waits(&self) -> bool {
        self.queue.counts().0 > 0
    }

    /// Sends a batch. How long to wait when it is to be tried again; nothing when it is settled.
    async fn turn(&self, failures: &mut u32) -> Option<Duration> {
        let (batch, line) = (self.queue.take(), self.line.load_full());
        let message = self.message(&batch, &line.relabel);
        if message.is_empty() {
            self.queue.settle();
            return None;
        }
        let (count, begun) = (message.len(), Instant::now());
        let outcome = line.endpoint.post(Value::from(message).to_string().into_bytes(), &[]).await;
        self.stats.sent(count, outcome.is_ok(), begun.elapsed());
        let Err(error) = outcome else {
            if std::mem::take(failures) > 0 {
                info!(alertmanager = &*self.url, "takes alerts again");
            }
            self.queue.settle();
            return None;
        };
        *failures += 1;
        self.complain(&error, *failures);
        let waited = backoff(*failures, random()).min(LONGEST_WAIT);
        match error.retry {
            Retry::Never => {
                self.queue.settle();
                self.queue.note_dropped(count);
                return None;
            }
            Retry::Backoff => self.queue.put_back(batch),
            Retry::After(asked) => {
                self.queue.put_back(batch);
                return Some(waited.max(asked));
            }
        }
        Some(waited)
    }

    fn complain(&self, error: &ChannelError, failures: u32) {
        let what = match error.retry {
            Retry::Never => "an Alertmanager refuses alerts; they are sent again with their next turn",
            Retry::Backoff | Retry::After(_) => "an Alertmanager takes no alerts; it is tried again",
        };
        if failures == 1 {
            warn!(alertmanager = &*self.url, %error, "{what}");
        } else {
            debug!(alertmanager = &*self.url, %error, failures, "{what}");
        }
    }

    /// What is to be said of these alerts now.
    fn message(&self, batch: &[Labels], rules: &[Relabel]) -> Vec<Value> {
        let (book, now) = (self.book.lock().unwrap_or_else(PoisonError::into_inner), Millis::now());
        let said = batch.iter().filter_map(|labels| book.said(labels, now));
        said.filter_map(|(alert, end)| Some(posted(alert, &relabel(rules, &alert.labels)?, end))).collect()
    }
}

/// An alert as Prometheus posts it.
fn posted(alert: &Alert, labels: &Labels, end: Millis) -> Value {
    let object = |labels: &Labels| labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let (labels, annotations): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
        (object(labels), object(&alert.annotations));
    json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": alert.starts_at.to_rfc3339(),
        "endsAt": end.to_rfc3339(),
        "generatorURL": alert.generator_url,
    })
}

fn caution(line: &Line) {
    if let Some(caution) = line.settings.http.caution() {
        warn!(alertmanager = &*line.url, "{caution}");
    }
}

/// Between 0 and 1; for jitter only.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
