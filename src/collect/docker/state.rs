//! What the engine itself says of a container: its state, its health, how it ended. Also for those that do not run.
//!
//! cAdvisor tells only health ([`HEALTH_STATE`]) and kills ([`OOM_EVENTS`]); the other names are Sidewatch's own.

use crate::model::{Family, Suffix};

use super::Look;
use super::facts::Facts;
use super::families::START_TIME;
use super::labels::ContainerLabels;
use super::sight::Sight;
use super::wire::{HealthStatus as Health, State};

static CREATION_TIME: Family =
    Family::gauge("container_creation_time_seconds", "Creation time of the container, in seconds since the epoch.");
static HEALTH_STATE: Family = Family::gauge(
    "container_health_state",
    "The result of the container's health check: 1 healthy, 0 not (yet) healthy, -1 without a health check.",
);
static OOM_EVENTS: Family =
    Family::counter("container_oom_events_total", "Out of memory kills in the container since the agent started.");

static STATE: Family =
    Family::gauge("container_state", "1 for the state the container is in, 0 for the others (Sidewatch).");
static HEALTH_STATUS: Family = Family::gauge(
    "container_health_status",
    "1 for the health check's verdict, 0 for the others; absent without a health check (Sidewatch).",
);
static FAILING_STREAK: Family = Family::gauge(
    "container_health_failing_streak",
    "How often in a row the health check failed; absent without a health check (Sidewatch).",
);
static RESTARTS: Family = Family::gauge(
    "container_restarts",
    "How often the restart policy started the container again since it was started by hand (Sidewatch).",
);
static EXIT_CODE: Family =
    Family::gauge("container_exit_code", "What the container exited with; only while it does not run (Sidewatch).");
static OOM_KILLED: Family = Family::gauge(
    "container_oom_killed",
    "1 if the engine says that the container ended for lack of memory, until it starts again (Sidewatch).",
);

const STATES: [State; 8] = [
    State::Created,
    State::Running,
    State::Paused,
    State::Restarting,
    State::Stopping,
    State::Removing,
    State::Exited,
    State::Dead,
];
const HEALTHS: [Health; 3] = [Health::Starting, Health::Healthy, Health::Unhealthy];

/// Adds what the list and the inspect say.
pub(super) fn fill(sight: &Sight, labels: &mut ContainerLabels, look: &mut Look) {
    for state in STATES {
        let value = f64::from(state == sight.state);
        look.point(&STATE, Suffix::None, labels.and([("state", state.as_str())]), value);
    }
    let mut value = |family, value: Option<f64>| {
        if let Some(value) = value {
            look.point(family, Suffix::None, labels.base.clone(), value);
        }
    };
    value(&OOM_EVENTS, sight.oom_events.map(|kills| kills as f64));
    value(&CREATION_TIME, sight.facts.as_ref().and_then(|facts| facts.created));
    let Some(facts) = sight.verdicts() else {
        return;
    };
    value(&RESTARTS, facts.restart_count.map(|count| count as f64));
    value(&OOM_KILLED, facts.oom_killed.map(f64::from));
    if sight.has_figures() {
        value(&START_TIME, facts.started);
        value(&HEALTH_STATE, Some(health_state(facts.health)));
        value(&FAILING_STREAK, facts.failing_streak.map(|streak| streak as f64));
        fill_health(facts, labels, look);
    } else if matches!(sight.state, State::Exited | State::Dead | State::Restarting) {
        value(&EXIT_CODE, facts.exit_code.map(|code| code as f64));
    }
}

fn fill_health(facts: &Facts, labels: &mut ContainerLabels, look: &mut Look) {
    let Some(now) = facts.health else {
        return;
    };
    for status in HEALTHS {
        let value = f64::from(status == now);
        look.point(&HEALTH_STATUS, Suffix::None, labels.and([("status", status.as_str())]), value);
    }
}

/// As the newest cAdvisor counts: no health check is -1, so that `== 0` finds only what fails.
fn health_state(health: Option<Health>) -> f64 {
    match health {
        None => -1.0,
        Some(Health::Healthy) => 1.0,
        Some(_) => 0.0,
    }
}
