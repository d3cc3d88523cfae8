//! What a user writes of an engine: where it listens, where its machine's files are, whether its containers may add targets.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::collect::dial::Address;
use crate::collect::host::{Files, host_name};
use crate::collect::{Collect, TargetSettings};
use crate::runtime::supervise::Supervisor;
use crate::yaml::Fields;

use super::Docker;

/// What a target of this kind needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the engine, or a proxy before its socket, listens: `unix:///var/run/docker.sock` for the engine of this
    /// machine, or `tcp://host:port` (also `http://`), without TLS.
    pub address: Address,
    /// Where the files of the engine's machine are; `None`: under `/host` where they are mounted there, else our own.
    pub files: Option<Files>,
    /// Whether containers may add targets by their labels.
    pub discover: bool,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "docker";
    const SCHEMES: &'static [&'static str] = &[];
    const JOB: &'static str = "cadvisor";

    /// Reads the kind's own keys: `discover` (true unless it says false), and `procfs`, `sysfs`, `rootfs`, as a host's.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let discover = fields.bool("discover").unwrap_or(true);
        let said = PATHS.iter().any(|key| fields.has(key));
        let files = said.then(|| files(fields));
        let wrong = |complaint| fields.wrong("url", complaint, "write unix:///var/run/docker.sock or tcp://host:2375");
        let address = parse(url).map_err(wrong).ok();
        // A key that is wrong spoils the target; none at all does not.
        let files = files.map_or(Some(None), |files| files.map(Some));
        address.zip(files).map(|(address, files)| Self { address, files, discover })
    }

    /// The engine's host: for a socket this machine's name, from `/host/etc/hostname` or else the kernel, and `localhost`
    /// where our container sees only its own id, which changes with every container; for TCP `host:port`.
    fn instance(&self) -> String {
        match &self.address {
            Address::Unix(_) => host_name(),
            Address::Tcp { .. } => self.address.to_string(),
        }
    }

    fn build(self, supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(Docker::new(self, supervisor)))
    }
}

/// The keys that say where the machine's files are.
const PATHS: [&str; 3] = ["procfs", "sysfs", "rootfs"];

/// Where the machine's files are. `None`: a path is wrong.
fn files(fields: &mut Fields<'_>) -> Option<Files> {
    let mut path = |key, default: &str| {
        let path = PathBuf::from(fields.text(key).unwrap_or_else(|| default.to_owned()));
        if !path.is_absolute() {
            fields.wrong(key, format!("`{key}` is not an absolute path"), format!("write `{key}: /host{default}`"));
        }
        path.is_absolute().then_some(path)
    };
    let (procfs, sysfs, rootfs) = (path("procfs", "/proc"), path("sysfs", "/sys"), path("rootfs", "/"));
    Some(Files { procfs: procfs?, sysfs: sysfs?, rootfs: rootfs? })
}

fn parse(url: &str) -> Result<Address, String> {
    if let Some(path) = url.strip_prefix("unix://") {
        let absolute = path.starts_with('/') && path.len() > 1;
        return if absolute { Ok(Address::Unix(path.into())) } else { Err("`url` names no socket".into()) };
    }
    let parsed = Url::parse(url).map_err(|error| format!("`url` cannot be read: {error}"))?;
    if !matches!(parsed.scheme(), "tcp" | "http") {
        return Err(format!("`url` has the scheme `{}`", parsed.scheme()));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("`url` has a user, which a Docker engine does not take".into());
    }
    let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or("`url` names no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let default_port = if parsed.scheme() == "http" { 80 } else { 2375 };
    Ok(Address::Tcp { host, port: parsed.port().unwrap_or(default_port) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_or_plain_tcp() {
        let tcp = |host: &str, port| Ok(Address::Tcp { host: host.into(), port });
        assert_eq!(parse("unix:///run/docker.sock"), Ok(Address::Unix("/run/docker.sock".into())));
        assert_eq!(parse("tcp://proxy"), tcp("proxy", 2375));
        assert_eq!(parse("http://proxy:2376"), tcp("proxy", 2376));
        assert_eq!(parse("tcp://[::1]:2375"), tcp("::1", 2375));
        for refused in ["unix://", "https://engine", "tcp://user:secret@engine", "/var/run/docker.sock"] {
            let complaint = parse(refused).unwrap_err();
            assert!(!complaint.contains("secret"), "{complaint}");
        }
    }
}
