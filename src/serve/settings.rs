//! The section `server:`.

use std::net::{Ipv4Addr, SocketAddr};

use url::Url;

use crate::yaml::Fields;

/// The port that users, dashboards and the shipped scrape configuration know.
pub const DEFAULT_PORT: u16 = 9640;

/// Where the agent is reached, and what it calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address listened on.
    pub listen: SocketAddr,
    /// How people reach it: links in notifications start with it. No slash at its end.
    pub external_url: String,
    /// Whether somebody said so; else it is made of the host's name, which is right within its network at best.
    pub external_url_is_given: bool,
    /// The value of `instance` on the agent's own series.
    pub instance: String,
}

impl Default for Settings {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT));
        let host = host_name();
        Self {
            listen,
            external_url: format!("http://{host}:{DEFAULT_PORT}"),
            external_url_is_given: false,
            instance: format!("{host}:{DEFAULT_PORT}"),
        }
    }
}

impl Settings {
    /// Reads `server: {listen, external_url, instance}`.
    pub fn read(mut fields: Fields<'_>) -> Self {
        let listen = fields.parsed("listen", parse_listen);
        let external_url = fields.parsed("external_url", parse_external_url);
        let instance = fields.text("instance");
        fields.not_built("web_config_file");
        fields.finish();
        let listen = listen.unwrap_or(Self::default().listen);
        let here = format!("{}:{}", host_name(), listen.port());
        Self {
            listen,
            external_url_is_given: external_url.is_some(),
            external_url: external_url.unwrap_or_else(|| format!("http://{here}")),
            instance: instance.unwrap_or(here),
        }
    }
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    // As Go programs take it: ":9640" listens everywhere.
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.replace("localhost:", "127.0.0.1:") };
    full.parse().map_err(|_| format!("`{text}` is no address to listen on: write 0.0.0.0:{DEFAULT_PORT}"))
}

fn parse_external_url(text: &str) -> Result<String, String> {
    match Url::parse(text) {
        Ok(url) if url.query().is_some() || url.fragment().is_some() => Err(format!(
            "`{text}` has a part behind `?` or `#`, where nothing can be added: write http://host:port/path"
        )),
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("`{text}` is no web address: write http://host:port")),
    }
}

/// The machine's (in a container: the container's) host name.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".into() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_added_to_the_external_url() {
        assert_eq!(parse_external_url("https://host/sw/").as_deref(), Ok("https://host/sw"));
        for wrong in ["https://host/sw?a=b", "https://host/?", "https://host/#x", "host", "ftp://host/"] {
            assert!(parse_external_url(wrong).is_err(), "{wrong}");
        }
    }
}
