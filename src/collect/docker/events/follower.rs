//! Keeps the stream of events open, and lists the containers when one that asks to be watched comes or goes.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{self, Instant};
use tracing::{debug, info, warn};
use url::form_urlencoded::byte_serialize;

use crate::collect::error::chain;
use crate::model::Millis;

use super::super::api::{self, ApiVersion};
use super::super::request::{body, get};
use super::super::wire::Summary;
use super::super::{CollectError, Reason};
use super::Shared;
use super::event::{Action, Event};
use super::stream::{Lines, Next, date};

const SUBSCRIBING: &str = "follow the engine's events";
const AGREEING: &str = "agree with the engine on a version of its API";
const LISTING: &str = "list the containers";

/// An answer's beginning must come within this, and a whole list.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between the end of a stream and the next attempt: doubled up to the longest. A restarted engine is found again in time for its containers.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A stream that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(5);
/// Between attempts where somebody said that we may not.
const DENIED_WAIT: Duration = Duration::from_mins(1);
/// From an event to the list: events come in bursts.
const SETTLE: Duration = Duration::from_millis(50);
/// After a list that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// To a second list: Docker tells of a death a moment before its list does.
const SETTLED: Duration = Duration::from_millis(500);

/// Follows until dropped.
pub(super) async fn follow(shared: &Shared) {
    let (mut wait, mut said) = (FIRST_WAIT, None);
    loop {
        let opened = Instant::now();
        let error = match session(shared, &mut said).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if opened.elapsed() > GOOD {
            wait = FIRST_WAIT;
        }
        let denied = matches!(error.reason(), Reason::Permission | Reason::Auth);
        // Said once for each kind of failure, until it works again.
        if said != Some(error.reason()) {
            said = Some(error.reason());
            warn!(engine = %shared.address, %error, "the engine's events are not followed");
        }
        shared.record().failed(error);
        time::sleep(if denied { DENIED_WAIT } else { wait }).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// One stream, to its end.
async fn session(shared: &Shared, said: &mut Option<Reason>) -> Result<Infallible, CollectError> {
    // Asked anew for each stream: after a break it may be another engine.
    let version = in_time(AGREEING, api::agree(&shared.address, &shared.supervisor)).await?.version;
    let path = path(version, shared.record().since());
    let asked = in_time(SUBSCRIBING, get(&shared.address, &path, SUBSCRIBING, &shared.supervisor));
    let response = asked.await?;
    shared.record().opened(date(&response).unwrap_or_else(Millis::now));
    if said.take().is_some() {
        info!(engine = %shared.address, "the engine's events are followed again");
    }
    let mut lines = Lines::of(response);
    // The stream is open: whoever comes after this list is told of.
    let mut lists = Lists { first: shared.discover.then(Instant::now), second: None };
    loop {
        tokio::select! {
            line = lines.next() => match line? {
                Next::Line(line) => if take(shared, &line) { lists.ask_soon() },
                Next::TooLong => {
                    let error = CollectError::new(Reason::TooLarge, "the engine sent an event longer than 1 MiB, which is not read");
                    warn!(engine = %shared.address, %error, "an event is lost");
                    shared.record().failed(error);
                }
                Next::End => return Err(CollectError::new(Reason::Unreachable, "the engine ended the stream of its events")),
            },
            () = lists.due() => {
                if let Err(error) = list(shared, version).await {
                    debug!(engine = %shared.address, %error, "the containers could not be listed after an event");
                    lists.second = Some(Instant::now() + AGAIN);
                }
            }
        }
    }
}

/// Takes a line in; whether the containers should be listed.
fn take(shared: &Shared, line: &[u8]) -> bool {
    let Some(event) = Event::read(line).filter(|event| shared.record().take(event)) else { return false };
    let comes_or_goes = event.labelled && !matches!(event.action, Action::Create | Action::Kill | Action::Oom);
    // What a person would not miss stays out of the short list: making a container is followed by its start.
    if event.action != Action::Create {
        shared.log.push(event);
    }
    shared.discover && comes_or_goes
}

/// The lists that are due.
struct Lists {
    first: Option<Instant>,
    second: Option<Instant>,
}

impl Lists {
    fn ask_soon(&mut self) {
        let now = Instant::now();
        self.first.get_or_insert(now + SETTLE);
        self.second = Some(now + SETTLED);
    }

    /// Waits for the next one; taken out when it is due.
    async fn due(&mut self) {
        match (self.first, self.second) {
            (Some(at), _) => {
                time::sleep_until(at).await;
                self.first = None;
            }
            (None, Some(at)) => {
                time::sleep_until(at).await;
                self.second = None;
            }
            (None, None) => std::future::pending().await,
        }
    }
}

async fn list(shared: &Shared, version: ApiVersion) -> Result<(), CollectError> {
    let asked = Instant::now();
    let answer = in_time(LISTING, async {
        let path = format!("{version}/containers/json?all=true");
        let response = get(&shared.address, &path, LISTING, &shared.supervisor).await?;
        body(response, LISTING).await
    });
    let listed: Vec<Summary> = serde_json::from_slice(&answer.await?).map_err(|error| {
        CollectError::new(Reason::Malformed, format!("cannot read the list of containers: {}", chain(&error)))
    })?;
    shared.listed(asked, &listed, Millis::now());
    Ok(())
}

async fn in_time<T>(doing: &str, work: impl Future<Output = Result<T, CollectError>>) -> Result<T, CollectError> {
    let late = |_| Err(CollectError::new(Reason::Timeout, format!("cannot {doing}: no answer in time")));
    time::timeout(PATIENCE, work).await.unwrap_or_else(late)
}

/// The subscription, from a time in nanoseconds since the epoch on, or from now.
fn path(version: ApiVersion, since: Option<i64>) -> String {
    let filters = serde_json::json!({"type": ["container"], "event": Action::ASKED}).to_string();
    let filters: String = byte_serialize(filters.as_bytes()).collect();
    let since =
        since.map(|nanos| format!("&since={}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000)));
    format!("{version}/events?filters={filters}{}", since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_begin_at_is_seconds_with_nanoseconds() {
        let path = |since| path("1.41".parse().unwrap(), since);
        assert!(path(None).starts_with("/v1.41/events?filters=%7B%22"));
        assert!(!path(None).contains("since"));
        assert!(path(Some(1_763_715_600_000_000_005)).ends_with("&since=1763715600.000000005"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_events_asks_for_two_lists() {
        let mut lists = Lists { first: None, second: None };
        let start = Instant::now();
        (0..10).for_each(|_| lists.ask_soon());
        lists.due().await;
        assert_eq!(start.elapsed(), SETTLE);
        lists.due().await;
        assert_eq!(start.elapsed(), SETTLED);
        assert!(time::timeout(Duration::from_hours(1), lists.due()).await.is_err());
    }
}
