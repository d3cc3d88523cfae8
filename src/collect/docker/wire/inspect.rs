//! `/containers/<id>/json`: all that the engine knows of one container.

use std::collections::HashMap;

use serde::Deserialize;

use super::HealthStatus;

/// One container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct Inspect {
    pub(in crate::collect::docker) name: Option<String>,
    /// RFC 3339.
    pub(in crate::collect::docker) created: Option<String>,
    /// The program that runs, entry point included, and its arguments.
    pub(in crate::collect::docker) path: Option<String>,
    pub(in crate::collect::docker) args: Option<Vec<String>>,
    pub(in crate::collect::docker) restart_count: Option<i64>,
    /// Bytes in its own layer, where they were asked for.
    pub(in crate::collect::docker) size_rw: Option<i64>,
    pub(in crate::collect::docker) state: Option<RunState>,
    pub(in crate::collect::docker) config: Option<Config>,
    pub(in crate::collect::docker) host_config: Option<HostConfig>,
    pub(in crate::collect::docker) network_settings: Option<NetworkSettings>,
    pub(in crate::collect::docker) graph_driver: Option<GraphDriver>,
}

/// How it is, and how it ended last.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct RunState {
    /// Its first process; 0 while it does not run.
    pub(in crate::collect::docker) pid: Option<i64>,
    /// RFC 3339; of the year 1 for never.
    pub(in crate::collect::docker) started_at: Option<String>,
    /// As above.
    pub(in crate::collect::docker) finished_at: Option<String>,
    pub(in crate::collect::docker) exit_code: Option<i64>,
    #[serde(rename = "OOMKilled")]
    pub(in crate::collect::docker) oom_killed: Option<bool>,
    pub(in crate::collect::docker) health: Option<Health>,
}

/// What its health check says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct Health {
    pub(in crate::collect::docker) status: Option<HealthStatus>,
    /// How often in a row it failed.
    pub(in crate::collect::docker) failing_streak: Option<i64>,
}

/// What the image and whoever started it set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct Config {
    pub(in crate::collect::docker) image: Option<String>,
    /// `NAME=value`
    pub(in crate::collect::docker) env: Option<Vec<String>>,
    pub(in crate::collect::docker) labels: Option<HashMap<String, String>>,
    pub(in crate::collect::docker) healthcheck: Option<HealthCheck>,
}

/// How its health is checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct HealthCheck {
    /// `["CMD", "pg_isready"]`, `["NONE"]`
    pub(in crate::collect::docker) test: Option<Vec<String>>,
}

/// What the machine grants it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct HostConfig {
    pub(in crate::collect::docker) cgroup_parent: Option<String>,
    /// `bridge`, `host`, `container:<id>`
    pub(in crate::collect::docker) network_mode: Option<String>,
    pub(in crate::collect::docker) auto_remove: Option<bool>,
    pub(in crate::collect::docker) restart_policy: Option<RestartPolicy>,
    pub(in crate::collect::docker) port_bindings: Option<Ports>,
    pub(in crate::collect::docker) cpu_shares: Option<i64>,
    /// Microseconds, as the quota.
    pub(in crate::collect::docker) cpu_period: Option<i64>,
    pub(in crate::collect::docker) cpu_quota: Option<i64>,
    /// Billionths of a CPU.
    pub(in crate::collect::docker) nano_cpus: Option<i64>,
    /// Bytes, as the two below.
    pub(in crate::collect::docker) memory: Option<i64>,
    pub(in crate::collect::docker) memory_reservation: Option<i64>,
    pub(in crate::collect::docker) memory_swap: Option<i64>,
}

/// When it is started again.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct RestartPolicy {
    /// `no` or nothing, `always`, `on-failure`, `unless-stopped`
    pub(in crate::collect::docker) name: Option<String>,
}

/// Where its ports are published, by `5432/tcp`.
type Ports = HashMap<String, Option<Vec<PortBinding>>>;

/// A port of the machine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct PortBinding {
    pub(in crate::collect::docker) host_ip: Option<String>,
    pub(in crate::collect::docker) host_port: Option<String>,
}

/// Its networks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct NetworkSettings {
    pub(in crate::collect::docker) ports: Option<Ports>,
}

/// How its layers are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct GraphDriver {
    pub(in crate::collect::docker) data: Option<HashMap<String, serde_json::Value>>,
}
