//! `/info` and `/version`: what the engine says of its machine and of itself.

use serde::Deserialize;

/// The engine's machine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct Info {
    #[serde(rename = "NCPU")]
    pub(in crate::collect::docker) cpus: Option<i64>,
    /// Bytes.
    pub(in crate::collect::docker) mem_total: Option<i64>,
    /// `systemd`, `cgroupfs`, `none`
    pub(in crate::collect::docker) cgroup_driver: Option<String>,
    pub(in crate::collect::docker) docker_root_dir: Option<String>,
    pub(in crate::collect::docker) server_version: Option<String>,
    pub(in crate::collect::docker) kernel_version: Option<String>,
    pub(in crate::collect::docker) operating_system: Option<String>,
}

/// The engine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct Version {
    #[serde(rename = "ApiVersion")]
    pub(in crate::collect::docker) newest_api: Option<String>,
    #[serde(rename = "MinAPIVersion")]
    pub(in crate::collect::docker) oldest_api: Option<String>,
    pub(in crate::collect::docker) components: Option<Vec<Component>>,
}

/// A program that it is made of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct Component {
    pub(in crate::collect::docker) name: String,
}
