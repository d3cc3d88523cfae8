//! Words for how a container is.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

/// The state of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Cow<str>")]
pub(in crate::collect::docker) enum State {
    /// Made, and not started yet.
    Created,
    /// Its first process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It ended and waits to be started again.
    Restarting,
    /// It is being stopped (Podman).
    Stopping,
    /// It is being removed.
    Removing,
    /// It ended.
    Exited,
    /// It could not be removed.
    Dead,
    /// Something else, or nothing.
    #[default]
    Unknown,
}

impl State {
    /// Whether its control groups exist, so that there are figures.
    pub(in crate::collect::docker) fn has_figures(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Stopping)
    }

    /// As Docker writes it.
    pub(in crate::collect::docker) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Cow<'_, str>> for State {
    fn from(word: Cow<'_, str>) -> Self {
        match &*word {
            // Podman's own words come through its imitation of Docker's API: prepared, and ended but not cleaned up.
            "created" | "configured" | "initialized" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "stopping" => Self::Stopping,
            "removing" => Self::Removing,
            "exited" | "stopped" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The verdict of a health check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Cow<str>")]
pub(in crate::collect::docker) enum HealthStatus {
    /// Not yet known.
    Starting,
    /// It passes.
    Healthy,
    /// It failed too often.
    Unhealthy,
    /// There is no health check, or none that says anything now.
    #[default]
    None,
}

impl HealthStatus {
    /// As Docker writes it.
    pub(in crate::collect::docker) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::None => "none",
        }
    }
}

impl From<Cow<'_, str>> for HealthStatus {
    fn from(word: Cow<'_, str>) -> Self {
        match &*word {
            "starting" => Self::Starting,
            "healthy" => Self::Healthy,
            "unhealthy" => Self::Unhealthy,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_nobody_knows_spoils_nothing() {
        let state = |word: &str| serde_json::from_str::<State>(&format!("{word:?}")).unwrap();
        assert_eq!(
            ["running", "initialized", "stopped", "hibernated", ""].map(state).map(State::as_str),
            ["running", "created", "exited", "unknown", "unknown"]
        );
        let health = |word: &str| serde_json::from_str::<HealthStatus>(&format!("{word:?}")).unwrap();
        assert_eq!(health("unhealthy"), HealthStatus::Unhealthy);
        assert_eq!(health("reset"), HealthStatus::None);
    }
}
