//! Deployments: a service whose newest container has another image or configuration than before.
//!
//! In: the engine's lists. Out: one event for each change, and what Grafana needs for an annotation.
//!
//! A service is Compose's, or else the name of a container. Its version is the image's id and Compose's hash of its configuration; a
//! container that is made anew from the same ones is no deployment. The first list is where we start from: it shows none.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Family, Labels, Millis, Suffix};

use super::Look;
use super::events::{Event, Subject};
use super::wire::{State, Summary};

/// New services beyond this are not followed.
const MAX_SERVICES: usize = 1000;
/// Services that are gone and would be recognised.
const MAX_GONE: usize = 200;

static DEPLOYS: Family = Family::counter(
    "container_deploys_total",
    "How often the service came with another image or configuration since the agent first looked (Sidewatch).",
);
static DEPLOYED: Family = Family::gauge(
    "container_deploy_timestamp_seconds",
    "When the first container with the service's present image and configuration was made, in seconds since the epoch (Sidewatch).",
);

/// Compose's project and service, or nothing and a container's name.
type Key = (Arc<str>, Arc<str>);

/// What is known of all services.
#[derive(Debug, Default)]
pub(super) struct Deploys {
    services: HashMap<Key, Service>,
    /// Whether a list was seen.
    started: bool,
}

#[derive(Debug)]
struct Service {
    image_id: String,
    config_hash: String,
    image: Arc<str>,
    deployed: Millis,
    count: u64,
    seen: Millis,
    counted: Labels,
    dated: Labels,
}

/// A service's newest running container.
struct Newest<'l> {
    summary: &'l Summary,
    subject: Subject,
    image_id: &'l str,
    config_hash: &'l str,
    created: i64,
}

impl Newest<'_> {
    fn deployed(&self, at: Millis, words: &str) -> Event {
        Event::deploy(at, self.subject.clone(), self.summary.id.as_deref().unwrap_or_default(), words)
    }
}

impl Deploys {
    /// Compares a whole list with what was known. The events are the deployments since.
    pub(super) fn observe(&mut self, listed: &[Summary], now: Millis) -> Vec<Event> {
        let mut events = Vec::new();
        for (key, newest) in newest(listed) {
            events.extend(self.take(&key, &newest, now));
        }
        self.started = true;
        self.forget(now);
        events
    }

    fn take(&mut self, key: &Key, newest: &Newest<'_>, now: Millis) -> Option<Event> {
        let created = Millis(newest.created.saturating_mul(1000));
        if let Some(known) = self.services.get_mut(key) {
            known.seen = now;
            if known.image_id == newest.image_id && known.config_hash == newest.config_hash {
                return None;
            }
            let words = known.difference(newest);
            let count = known.count + 1;
            self.services.insert(key.clone(), Service::of(key, newest, created, count, now));
            return Some(newest.deployed(created, &words));
        }
        if self.services.len() >= MAX_SERVICES {
            return None;
        }
        // A container that Compose did not start may be any job; its first run is no deployment.
        let first = self.started && !key.0.is_empty();
        self.services.insert(key.clone(), Service::of(key, newest, created, u64::from(first), now));
        first.then(|| newest.deployed(created, &format!("new, image {}", newest.subject.image)))
    }

    fn forget(&mut self, now: Millis) {
        let mut gone: Vec<_> = self
            .services
            .iter()
            .filter(|(_, service)| service.seen != now)
            .map(|(key, s)| (s.seen, key.clone()))
            .collect();
        if gone.len() > MAX_GONE {
            gone.sort_unstable();
            gone.truncate(gone.len() - MAX_GONE);
            for (_, key) in gone {
                self.services.remove(&key);
            }
        }
    }

    /// Adds the services of the last list.
    pub(super) fn fill(&self, look: &mut Look) {
        let last = self.services.values().map(|service| service.seen).max();
        for service in self.services.values().filter(|service| Some(service.seen) == last) {
            look.point(&DEPLOYS, Suffix::None, service.counted.clone(), service.count as f64);
            look.point(&DEPLOYED, Suffix::None, service.dated.clone(), service.deployed.as_seconds());
        }
    }
}

impl Service {
    fn of(key: &Key, newest: &Newest<'_>, deployed: Millis, count: u64, seen: Millis) -> Self {
        let counted = Labels::new([("project", Arc::clone(&key.0)), ("service", Arc::clone(&key.1))]);
        let image = Arc::clone(&newest.subject.image);
        Self {
            image_id: newest.image_id.to_owned(),
            config_hash: newest.config_hash.to_owned(),
            dated: counted.with("image", Arc::clone(&image)),
            image,
            deployed,
            count,
            seen,
            counted,
        }
    }

    fn difference(&self, newest: &Newest<'_>) -> String {
        let image = &newest.subject.image;
        if self.image_id == newest.image_id {
            return format!("other configuration, image {image}");
        }
        if self.image == *image {
            format!("another build of {image}")
        } else {
            format!("image {} to {image}", self.image)
        }
    }
}

/// The newest container of each service among those that run. Of those of the newest one's version, the first counts as its beginning.
fn newest(listed: &[Summary]) -> HashMap<Key, Newest<'_>> {
    let mut services: HashMap<Key, Newest<'_>> = HashMap::new();
    for summary in listed {
        let Some((key, candidate)) = candidate(summary) else { continue };
        match services.get_mut(&key) {
            None => drop(services.insert(key, candidate)),
            Some(known) if (known.image_id, known.config_hash) == (candidate.image_id, candidate.config_hash) => {
                known.created = known.created.min(candidate.created);
            }
            Some(known) if known.created < candidate.created => *known = candidate,
            Some(_) => {}
        }
    }
    services
}

fn candidate(summary: &Summary) -> Option<(Key, Newest<'_>)> {
    let label = |name: &str| summary.labels.as_ref().and_then(|labels| labels.get(name)).map_or("", String::as_str);
    let runs = matches!(summary.state, Some(State::Running | State::Paused | State::Restarting));
    if !runs || label("com.docker.compose.oneoff").eq_ignore_ascii_case("true") {
        return None;
    }
    let none = HashMap::new();
    let image = summary.image.as_deref().unwrap_or_default();
    let subject = Subject::of(summary.name(), image, summary.labels.as_ref().unwrap_or(&none));
    let service = if subject.service.is_empty() { &subject.name } else { &subject.service };
    let key = (Arc::clone(&subject.project), Arc::clone(service));
    let newest = Newest {
        image_id: summary.image_id.as_deref().unwrap_or_default(),
        config_hash: label("com.docker.compose.config-hash"),
        created: summary.created.unwrap_or_default(),
        subject,
        summary,
    };
    Some((key, newest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, created: i64, image: &str, hash: &str) -> Summary {
        let labels = [
            ("com.docker.compose.project", "shop"),
            ("com.docker.compose.service", "app"),
            ("com.docker.compose.config-hash", hash),
        ];
        Summary {
            id: Some(name.into()),
            names: Some(vec![format!("/{name}")]),
            image: Some(image.split('@').next().unwrap().into()),
            image_id: Some(image.into()),
            created: Some(created),
            state: Some(State::Running),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            ..Default::default()
        }
    }

    fn deployed(deploys: &Deploys, image: &str) -> (Option<f64>, Option<f64>) {
        let mut look = Look::new();
        deploys.fill(&mut look);
        let app = [("project", "shop"), ("service", "app")];
        let dated = look.get("container_deploy_timestamp_seconds", &[app[0], app[1], ("image", image)]);
        (look.get("container_deploys_total", &app), dated)
    }

    fn words(events: &[Event]) -> Vec<&str> {
        events.iter().filter_map(|event| event.detail.as_deref()).collect()
    }

    #[test]
    fn the_first_list_shows_no_deployment() {
        let mut deploys = Deploys::default();
        let two = [container("app-1", 20, "shop:1", "a"), container("app-2", 10, "shop:1", "a")];
        assert_eq!(deploys.observe(&two, Millis(1)), []);
        assert_eq!(deployed(&deploys, "shop:1"), (Some(0.0), Some(10.0)));
    }

    #[test]
    fn another_image_another_build_and_another_configuration_are_deployments_and_the_same_again_is_none() {
        let mut deploys = Deploys::default();
        deploys.observe(&[container("app-1", 10, "shop:1", "a")], Millis(1));
        let next = [container("app-1", 10, "shop:1", "a"), container("app-2", 20, "shop:2", "b")];
        assert_eq!(words(&deploys.observe(&next, Millis(2))), ["image shop:1 to shop:2"]);
        assert_eq!(deployed(&deploys, "shop:2"), (Some(1.0), Some(20.0)));
        assert_eq!(deploys.observe(&[container("app-2", 30, "shop:2", "b")], Millis(3)), [], "made anew from the same");
        assert_eq!(deployed(&deploys, "shop:2"), (Some(1.0), Some(20.0)));
        assert_eq!(
            words(&deploys.observe(&[container("app-2", 40, "shop:2@new", "b")], Millis(4))),
            ["another build of shop:2"]
        );
        // Down and up again with other settings.
        assert_eq!(deploys.observe(&[], Millis(5)), []);
        let changed = deploys.observe(&[container("app-2", 50, "shop:2@new", "c")], Millis(6));
        assert_eq!(words(&changed), ["other configuration, image shop:2"]);
        assert_eq!(deployed(&deploys, "shop:2"), (Some(3.0), Some(50.0)));
    }

    #[test]
    fn a_new_service_is_a_deployment_and_a_job_is_none() {
        let mut deploys = Deploys::default();
        deploys.observe(&[], Millis(1));
        assert_eq!(words(&deploys.observe(&[container("app-1", 10, "shop:1", "a")], Millis(2))), ["new, image shop:1"]);
        let job = Summary { labels: None, ..container("nervous_curie", 10, "busybox", "") };
        assert_eq!(deploys.observe(&[job], Millis(3)), []);
        let mut oneoff = container("shop-app-run", 99, "shop:9", "z");
        oneoff.labels.as_mut().unwrap().insert("com.docker.compose.oneoff".into(), "True".into());
        assert_eq!(deploys.observe(&[container("app-1", 10, "shop:1", "a"), oneoff], Millis(4)), []);
    }

    #[test]
    fn services_that_are_gone_are_bounded() {
        let mut deploys = Deploys::default();
        for number in 0..500 {
            let job = Summary { labels: None, ..container(&format!("job-{number}"), 10, "busybox", "") };
            deploys.observe(&[job], Millis(number));
        }
        assert_eq!(deploys.services.len(), MAX_GONE + 1);
    }
}
