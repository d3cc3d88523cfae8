//! Which version of the Engine API is spoken, and with whom.
//!
//! In: the engine's address. Out: the newest version that both sides know, which then stands before each request's path.
//!
//! `/_ping` says both in its headers and costs nothing; Podman runs other programs to answer `/version`, half a second long and more.
//! Engines before API 1.26 and some proxies say nothing there, so then `/version` is asked.

use std::fmt;
use std::str::FromStr;

use hyper::HeaderMap;
use hyper::header::SERVER;

use crate::collect::dial::Address;
use crate::collect::error::chain;
use crate::runtime::supervise::Supervisor;

use super::identity::Brand;
use super::request::{body, get};
use super::wire::Version;
use super::{CollectError, Reason};

const PINGING: &str = "ping the Docker engine";
const ASKING: &str = "ask the Docker engine's version";

/// A version of the Engine API. It is shown as the beginning of a path: `/v1.41`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    major: usize,
    minor: usize,
}

impl ApiVersion {
    /// Docker 1.12's, the first with health checks.
    const OLDEST: Self = Self { major: 1, minor: 24 };
    /// The newest whose answers are known to mean what we take them for.
    const NEWEST: Self = Self { major: 1, minor: 53 };

    /// The newest that both we and an engine know that says what its newest and, maybe, its oldest are.
    fn agreed(newest: &str, oldest: Option<&str>) -> Result<Self, CollectError> {
        let refused = |reason, why: String| CollectError::new(reason, format!("cannot agree with the engine: {why}"));
        let theirs: Self = newest
            .parse()
            .map_err(|()| refused(Reason::Malformed, format!("its API version `{}` is none", newest.escape_debug())))?;
        if theirs < Self::OLDEST {
            return Err(refused(
                Reason::Expectation,
                format!("it speaks {theirs} of its API, {} is needed", Self::OLDEST),
            ));
        }
        match oldest.and_then(|oldest| oldest.parse::<Self>().ok()).filter(|oldest| *oldest > Self::NEWEST) {
            Some(oldest) => Err(refused(
                Reason::Expectation,
                format!("it speaks no version of its API before {oldest}, we none after {}", Self::NEWEST),
            )),
            None => Ok(theirs.min(Self::NEWEST)),
        }
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.trim().split_once('.').ok_or(())?;
        Ok(Self { major: major.parse().map_err(drop)?, minor: minor.parse().map_err(drop)? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/v{}.{}", self.major, self.minor)
    }
}

/// What an engine's first answer tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Agreement {
    /// What is spoken from now on.
    pub(super) version: ApiVersion,
    /// Whose engine it is.
    pub(super) brand: Brand,
}

/// Asks an engine. The caller owns the time.
pub(super) async fn agree(address: &Address, supervisor: &Supervisor) -> Result<Agreement, CollectError> {
    match get(address, "/_ping", PINGING, supervisor).await {
        Ok(pong) => {
            if let Some(agreement) = of_headers(pong.headers())? {
                return Ok(agreement);
            }
        }
        // Somebody is there who answers something else: a proxy that does not pass a ping on.
        Err(error) if matches!(error.reason(), Reason::Auth | Reason::Permission | Reason::Status) => {}
        Err(error) => return Err(error),
    }
    let answer = body(get(address, "/version", ASKING, supervisor).await?, ASKING).await?;
    let version: Version = serde_json::from_slice(&answer)
        .map_err(|error| CollectError::new(Reason::Malformed, format!("cannot {ASKING}: {}", chain(&error))))?;
    of_version(&version)
}

/// `None`: it does not say.
fn of_headers(headers: &HeaderMap) -> Result<Option<Agreement>, CollectError> {
    let Some(newest) = headers.get("api-version").and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let libpod = headers.get(SERVER).is_some_and(|server| server.as_bytes().starts_with(b"Libpod"));
    let brand = if libpod || headers.contains_key("libpod-api-version") { Brand::Podman } else { Brand::Docker };
    Ok(Some(Agreement { version: ApiVersion::agreed(newest, None)?, brand }))
}

fn of_version(version: &Version) -> Result<Agreement, CollectError> {
    let named = |name: &str| name.to_ascii_lowercase().contains("podman");
    let podman = version.components.iter().flatten().any(|component| named(&component.name));
    let newest = version.newest_api.as_deref().unwrap_or_default();
    let version = ApiVersion::agreed(newest, version.oldest_api.as_deref())?;
    Ok(Agreement { version, brand: if podman { Brand::Podman } else { Brand::Docker } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(newest: &str, oldest: Option<&str>) -> Result<String, Reason> {
        ApiVersion::agreed(newest, oldest).map(|version| version.to_string()).map_err(|error| error.reason())
    }

    #[test]
    fn the_newest_version_that_both_know_is_spoken() {
        assert_eq!(agreed("1.24", Some("1.12")), Ok("/v1.24".into()));
        assert_eq!(agreed("1.41", None), Ok("/v1.41".into()));
        assert_eq!(agreed("1.99", Some("1.44")), Ok(ApiVersion::NEWEST.to_string()));
        assert_eq!(agreed("2.0", Some("1.44")), Ok(ApiVersion::NEWEST.to_string()));
    }

    #[test]
    fn an_engine_without_a_version_in_common_is_refused() {
        assert_eq!(agreed("1.23", None), Err(Reason::Expectation));
        assert_eq!(agreed("2.1", Some("2.0")), Err(Reason::Expectation));
        for none in ["", "1", "1.x", "v1.41"] {
            assert_eq!(agreed(none, None), Err(Reason::Malformed), "{none:?}");
        }
    }

    #[test]
    fn a_pong_tells_the_version_and_whose_it_is_or_nothing() {
        let pong = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            of_headers(&headers.collect()).unwrap().map(|agreement| agreement.brand)
        };
        assert_eq!(pong(&[("api-version", "1.41"), ("server", "Docker/20.10.24 (linux)")]), Some(Brand::Docker));
        assert_eq!(pong(&[("api-version", "1.41"), ("server", "Libpod/4.3.1 (linux)")]), Some(Brand::Podman));
        assert_eq!(pong(&[("api-version", "1.41"), ("libpod-api-version", "4.3.1")]), Some(Brand::Podman));
        assert_eq!(pong(&[("server", "Docker/1.12.6 (linux)")]), None);
    }

    #[test]
    fn a_version_names_podman_by_its_components() {
        let version = r#"{"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Components": [{"Name": "Podman Engine", "Version": "4"}]}"#;
        assert_eq!(of_version(&serde_json::from_str(version).unwrap()).unwrap().brand, Brand::Podman);
    }
}
