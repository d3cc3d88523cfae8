//! One event, read off a line of the engine's stream.
//!
//! Docker and Podman write the same fields with different words: Podman's containers are `died` and `remove`d, and its exit code is a
//! `containerExitCode`. Events that are about nothing we count (`exec_start` of each health check) are none.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::model::{Labels, Millis};

/// Longer texts are cut here, in bytes.
const MAX_TEXT: usize = 256;

/// What happened to a container, in Docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It was made.
    Create,
    /// It began to run.
    Start,
    /// Somebody restarted it; `stop` or `die`, and `start`, come too.
    Restart,
    /// Somebody stopped it.
    Stop,
    /// A signal was sent to it.
    Kill,
    /// Its main process ended.
    Die,
    /// The kernel killed a process in it for lack of memory.
    Oom,
    /// Its processes were frozen.
    Pause,
    /// Its processes go on.
    Unpause,
    /// It has another name.
    Rename,
    /// Its limits were changed.
    Update,
    /// It was removed.
    Destroy,
    /// Its health check passes (again).
    Healthy,
    /// Its health check has failed too often.
    Unhealthy,
    /// Its service came with another image or configuration. Ours; no engine says it.
    Deploy,
}

impl Action {
    /// What is asked for: Docker's names, and Podman's where they differ. A name that an engine does not know matches nothing.
    pub(super) const ASKED: [&str; 15] = [
        "create",
        "start",
        "restart",
        "stop",
        "kill",
        "die",
        "died",
        "oom",
        "pause",
        "unpause",
        "rename",
        "update",
        "destroy",
        "remove",
        "health_status",
    ];

    /// As Docker writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Die => "die",
            Self::Oom => "oom",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Rename => "rename",
            Self::Update => "update",
            Self::Destroy => "destroy",
            Self::Healthy => "health_status: healthy",
            Self::Unhealthy => "health_status: unhealthy",
            Self::Deploy => "deploy",
        }
    }

    fn read(action: &str, health: Option<&str>) -> Option<Self> {
        let (word, detail) =
            action.split_once(':').map_or((action, None), |(word, detail)| (word, Some(detail.trim())));
        Some(match word {
            "create" => Self::Create,
            "start" => Self::Start,
            "restart" => Self::Restart,
            "stop" => Self::Stop,
            "kill" => Self::Kill,
            "die" | "died" => Self::Die,
            "oom" => Self::Oom,
            "pause" => Self::Pause,
            "unpause" => Self::Unpause,
            "rename" => Self::Rename,
            "update" => Self::Update,
            "destroy" | "remove" => Self::Destroy,
            "health_status" => match detail.or(health)? {
                "healthy" => Self::Healthy,
                "unhealthy" => Self::Unhealthy,
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// Whom an event is about: what stays the same when a service's container is made anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Subject {
    /// The container's name.
    pub name: Arc<str>,
    /// The image as whoever started it named it.
    pub image: Arc<str>,
    /// Compose's project; empty for what Compose did not start.
    pub project: Arc<str>,
    /// Compose's service.
    pub service: Arc<str>,
}

impl Subject {
    /// From a container's name, image and own labels.
    pub(in crate::collect::docker) fn of(name: &str, image: &str, labels: &HashMap<String, String>) -> Self {
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        Self {
            name: short(name),
            image: short(image),
            project: short(label("com.docker.compose.project")),
            service: short(label("com.docker.compose.service")),
        }
    }

    /// As labels, under the names that cAdvisor gives them.
    pub(in crate::collect::docker) fn labels(&self) -> Labels {
        Labels::new([
            ("name", Arc::clone(&self.name)),
            ("image", Arc::clone(&self.image)),
            ("container_label_com_docker_compose_project", Arc::clone(&self.project)),
            ("container_label_com_docker_compose_service", Arc::clone(&self.service)),
        ])
    }
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, by the engine's clock.
    pub at: Millis,
    /// What.
    pub action: Action,
    /// To whom.
    pub subject: Subject,
    /// The container's id.
    pub id: Arc<str>,
    /// What it exited with, where it died.
    pub exit_code: Option<i64>,
    /// More in words: the signal that was sent, the name before, what was deployed.
    pub detail: Option<Arc<str>>,
    /// When, exactly; with the id and the action this is one event and no other.
    pub(super) nanos: i64,
    /// Whether the container asks to be watched.
    pub(super) labelled: bool,
}

impl Event {
    /// Reads a line of the stream. `None`: it is not one of ours, or not readable.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(line).ok()?;
        // We ask for containers alone; an engine or proxy that does not heed it tells of networks, too, in the same words.
        if wire.kind.is_some_and(|kind| kind != "container") {
            return None;
        }
        let Actor { id, attributes } = wire.actor;
        let mut attributes = attributes.unwrap_or_default();
        let health = wire.health.as_deref().or(attributes.get("health_status").map(String::as_str));
        let action = Action::read(&wire.action, health)?;
        let nanos = if wire.nanos > 0 { wire.nanos } else { wire.seconds.saturating_mul(1_000_000_000) };
        let text = |name: &str| attributes.get(name).map_or("", String::as_str);
        let subject = Subject::of(text("name"), text("image"), &attributes);
        let labelled = attributes.keys().any(|name| name.starts_with(super::super::discovery::PREFIX));
        let exit_code = ["exitCode", "containerExitCode"].iter().find_map(|name| attributes.get(*name)?.parse().ok());
        let detail = match action {
            Action::Kill => attributes.remove("signal").map(|signal| short(&format!("signal {signal}"))),
            Action::Rename => attributes.remove("oldName").map(|old| short(&format!("was {}", old.trim_matches('/')))),
            _ => None,
        };
        Some(Self {
            at: Millis(nanos.div_euclid(1_000_000)),
            action,
            subject,
            id: short(&id),
            exit_code: exit_code.filter(|_| action == Action::Die),
            detail,
            nanos,
            labelled,
        })
    }

    /// A death that no event told.
    pub(super) fn untold_death(at: Millis, subject: Subject, id: &str, exit_code: Option<i64>) -> Self {
        Self { action: Action::Die, exit_code, ..Self::deploy(at, subject, id, "told by an inspect") }
    }

    /// A service's new version, as an event.
    pub(in crate::collect::docker) fn deploy(at: Millis, subject: Subject, id: &str, words: &str) -> Self {
        Self {
            at,
            action: Action::Deploy,
            subject,
            id: short(id),
            exit_code: None,
            detail: Some(short(words)),
            nanos: at.0.saturating_mul(1_000_000),
            labelled: false,
        }
    }
}

/// Control characters become spaces: these texts are shown in logs and terminals.
fn short(text: &str) -> Arc<str> {
    let cut = &text[..text.floor_char_boundary(MAX_TEXT)];
    if cut.contains(char::is_control) { cut.replace(char::is_control, " ").into() } else { cut.into() }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "Type", default)]
    kind: Option<String>,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
    /// Podman's.
    #[serde(rename = "HealthStatus", default)]
    health: Option<String>,
    #[serde(rename = "time", default)]
    seconds: i64,
    #[serde(rename = "timeNano", default)]
    nanos: i64,
}

#[derive(Deserialize, Default)]
struct Actor {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Attributes", default)]
    attributes: Option<HashMap<String, String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker 20.10 writes it, for a container that Compose started.
    const DIED: &str = r#"{"status":"die","id":"ab12","from":"shop:1.4","Type":"container","Action":"die","Actor":{"ID":"ab12",
        "Attributes":{"com.docker.compose.project":"shop","com.docker.compose.service":"app","exitCode":"137","image":"shop:1.4",
        "name":"shop-app-1"}},"scope":"local","time":1763715600,"timeNano":1763715600123456789}"#;

    #[test]
    fn a_death_has_its_exit_code_and_its_service() {
        let event = Event::read(DIED.as_bytes()).unwrap();
        assert_eq!((event.action, event.exit_code, event.at), (Action::Die, Some(137), Millis(1_763_715_600_123)));
        assert_eq!(
            (&*event.subject.name, &*event.subject.project, &*event.subject.service),
            ("shop-app-1", "shop", "app")
        );
        assert_eq!((&*event.id, event.labelled), ("ab12", false));
    }

    #[test]
    fn podmans_words_mean_the_same() {
        let died = r#"{"status":"died","id":"ab","Type":"container","Action":"died","Actor":{"ID":"ab","Attributes":{
            "containerExitCode":"3","image":"localhost/shop:1","name":"web","sidewatch.url":"http://web"}},"time":5,"timeNano":5000000001}"#;
        let event = Event::read(died.as_bytes()).unwrap();
        assert_eq!((event.action, event.exit_code, event.labelled), (Action::Die, Some(3), true));
        let gone =
            Event::read(br#"{"Action":"remove","Actor":{"ID":"ab","Attributes":{"name":"web"}},"time":5}"#).unwrap();
        assert_eq!((gone.action, gone.at), (Action::Destroy, Millis(5_000)));
        let sick =
            Event::read(br#"{"Action":"health_status","HealthStatus":"unhealthy","Actor":{"ID":"ab"},"time":5}"#);
        assert_eq!(sick.unwrap().action, Action::Unhealthy);
    }

    #[test]
    fn a_verdict_on_health_stands_in_the_action() {
        let read = |action: &str| Event::read(format!(r#"{{"Action":"{action}","Actor":{{"ID":"a"}}}}"#).as_bytes());
        assert_eq!(read("health_status: unhealthy").unwrap().action.as_str(), "health_status: unhealthy");
        assert_eq!(read("health_status: starting"), None);
    }

    #[test]
    fn what_is_no_event_of_ours_is_none() {
        let network = r#"{"Type":"network","Action":"create","Actor":{"ID":"a","Attributes":{"name":"web"}},"time":5}"#;
        assert_eq!(Event::read(network.as_bytes()), None);
        let bare = br#"{"Type":"container","Action":"oom","Actor":{"ID":"a","Attributes":null},"time":5}"#;
        assert_eq!(Event::read(bare).unwrap().action, Action::Oom, "one without attributes is one");
        for line in
            [r#"{"Action":"exec_start: pg_isready","Actor":{"ID":"a"}}"#, "{}", "nonsense", r#"{"message":"no"}"#]
        {
            assert_eq!(Event::read(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn texts_are_bounded_and_hold_no_control_characters() {
        let line = serde_json::json!({"Action": "kill", "time": 1, "Actor": {"ID": "a", "Attributes":
            {"signal": "9\n", "name": "é".repeat(300)}}});
        let event = Event::read(line.to_string().as_bytes()).unwrap();
        assert_eq!((event.subject.name.len(), event.detail.as_deref()), (256, Some("signal 9 ")));
    }
}
