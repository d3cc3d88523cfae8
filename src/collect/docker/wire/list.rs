//! `/containers/json`: all containers in few words.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::State;

/// One container of the list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct Summary {
    pub(in crate::collect::docker) id: Option<String>,
    /// With a leading slash; a link's has more of them.
    pub(in crate::collect::docker) names: Option<Vec<String>>,
    /// As whoever started it named it; an id once the image's tag has moved on.
    pub(in crate::collect::docker) image: Option<String>,
    #[serde(rename = "ImageID")]
    pub(in crate::collect::docker) image_id: Option<String>,
    pub(in crate::collect::docker) labels: Option<HashMap<String, String>>,
    /// Seconds since the epoch.
    pub(in crate::collect::docker) created: Option<i64>,
    pub(in crate::collect::docker) state: Option<State>,
    /// `Up 5 minutes (healthy)`
    pub(in crate::collect::docker) status: Option<String>,
    pub(in crate::collect::docker) network_settings: Option<NetworkSettings>,
}

/// Its networks by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::collect::docker) struct NetworkSettings {
    networks: Option<BTreeMap<String, Option<Network>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Network {
    #[serde(rename = "IPAddress")]
    address: Option<String>,
}

impl Summary {
    /// The container's own name; a link's has more slashes.
    pub(in crate::collect::docker) fn name(&self) -> &str {
        let names = self.names.iter().flatten().map(String::as_str);
        let own = names.min_by_key(|name| name.matches('/').count()).or(self.id.as_deref());
        own.unwrap_or_default().trim_start_matches('/')
    }

    /// Its address in the first of its networks, by name, that gave it one.
    pub(in crate::collect::docker) fn address(&self) -> Option<&str> {
        let networks = self.network_settings.as_ref()?.networks.as_ref()?;
        let mut addresses = networks.values().flatten().filter_map(|network| network.address.as_deref());
        addresses.find(|address| !address.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_as_good_as_absent_and_an_odd_container_hides_no_other() {
        let text = r#"[{"Id": "a", "Names": null, "Labels": null, "Mounts": [{"Type": "hologram"}], "NetworkSettings":
            {"Networks": {"x": null, "y": {"IPAddress": "10.0.0.2"}}}}, {"Id": "b", "State": "hibernated", "Ports": 5},
            {"Id": "c", "Names": ["/proxy/web", "/web"], "NetworkSettings": null}]"#;
        let all: Vec<Summary> = serde_json::from_str(text).unwrap();
        assert_eq!(all.iter().map(Summary::name).collect::<Vec<_>>(), ["a", "b", "web"]);
        assert_eq!((all[0].address(), all[1].state), (Some("10.0.0.2"), Some(State::Unknown)));
    }
}
