//! Kind `icmp`: pings a host, as `blackbox_exporter`'s `icmp` prober.
//!
//! In: `icmp://host`. Out: that prober's families. One request a look, and success is its reply.
//!
//! No privilege is needed where `net.ipv4.ping_group_range` holds our group, as it does in containers; elsewhere
//! `CAP_NET_RAW` is.

mod echo;
mod socket;

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;
use tokio::time::{self, Instant};
use url::Url;

use crate::model::Family;
use crate::runtime::supervise::Supervisor;
use crate::yaml::Fields;

use super::probe::{self, Trip, Watch, resolve};
use super::{Collect, CollectError, Look, Reason, TargetSettings};
use echo::Echo;
use socket::PingSocket;

static DURATION: Family =
    Family::gauge("probe_icmp_duration_seconds", "How long each phase took: resolve, setup of the socket, rtt.");
static HOP_LIMIT: Family =
    Family::gauge("probe_icmp_reply_hop_limit", "The hop limit of the reply; of IPv4 its time to live.");

/// What a target of kind `icmp` needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Without brackets.
    host: String,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "icmp";
    const SCHEMES: &'static [&'static str] = &["icmp"];
    const JOB: &'static str = probe::JOB;

    /// There are no keys of its own.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "icmp" && url.port().is_none());
        let host = parsed.as_ref().and_then(Url::host_str).map(|host| host.trim_matches(['[', ']']).to_owned());
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            fields.wrong("url", "this URL names no host to ping", "write icmp://host, without a port");
            return None;
        };
        Some(Self { host })
    }

    /// The host: ICMP has no ports.
    fn instance(&self) -> String {
        self.host.clone()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(Icmp::new(self)))
    }
}

/// A ping.
pub struct Icmp {
    settings: Settings,
    /// Tells our requests from those of other programs and of other agents on the machine.
    random: RandomState,
    identifier: u16,
    sequence: AtomicU16,
}

/// What the probe saw before it ended, well or not.
#[derive(Default)]
struct Seen {
    trip: Trip,
    hop_limit: Option<u8>,
}

impl Icmp {
    /// Prepares the probe.
    pub fn new(settings: Settings) -> Self {
        let random = RandomState::new();
        let identifier = random.hash_one("identifier") as u16;
        Self { settings, random, identifier, sequence: AtomicU16::new(0) }
    }

    fn next_echo(&self) -> Echo {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        Echo { identifier: self.identifier, sequence, nonce: self.random.hash_one(sequence) }
    }

    async fn ping(&self, seen: &mut Seen) -> Result<(), CollectError> {
        let peer = resolve(&self.settings.host, 0, &mut seen.trip).await?[0].ip();
        seen.trip.begin("setup");
        let socket = PingSocket::open(peer)?;
        seen.trip.begin("rtt");
        seen.hop_limit = exchange(&socket, peer, self.next_echo()).await?;
        Ok(())
    }
}

async fn exchange(socket: &PingSocket, peer: IpAddr, echo: Echo) -> Result<Option<u8>, CollectError> {
    let failed =
        |error: std::io::Error| CollectError::new(Reason::of_io(&error), format!("{peer} cannot be pinged: {error}"));
    socket.send(echo).await.map_err(failed)?;
    socket.reply_to(echo).await.map_err(failed)
}

#[async_trait]
impl Collect for Icmp {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let mut seen = Seen::default();
        let outcome = time::timeout_at(watch.deadline(), self.ping(&mut seen)).await;
        if let Err(error) = outcome.unwrap_or_else(|_| Err(seen.trip.late())) {
            look.unhealthy(error);
        }
        seen.trip.report(&mut look);
        for phase in ["resolve", "setup", "rtt"] {
            // A phase that was not reached is 0, as blackbox has it, and so is the round of a request without reply.
            let took = seen.trip.took(phase).filter(|_| phase != "rtt" || look.healthy);
            look.labeled(&DURATION, [("phase", phase)], took.unwrap_or_default().as_secs_f64());
        }
        if let Some(limit) = seen.hop_limit {
            look.value(&HOP_LIMIT, f64::from(limit));
        }
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        probe::unanswered(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::test_target;
    use std::time::Duration;

    fn read(url: &str) -> Result<Settings, String> {
        test_target::read(url, "").map_err(|said| said.concat())
    }

    #[test]
    fn a_host_is_all_it_needs() {
        assert_eq!(read("icmp://gateway").unwrap().instance(), "gateway");
        assert_eq!(read("icmp://[::1]").unwrap().instance(), "::1");
        assert!(read("icmp://gateway:7").unwrap_err().contains("without a port"));
        assert!(read("icmp://").unwrap_err().contains("names no host"));
    }

    #[test]
    fn no_two_echoes_are_the_same() {
        let icmp = Icmp::new(Settings { host: "a".into() });
        let (one, two) = (icmp.next_echo(), icmp.next_echo());
        assert_ne!((one.sequence, one.nonce), (two.sequence, two.nonce));
        assert_eq!(one.identifier, two.identifier);
    }

    #[tokio::test]
    async fn an_unknown_name_is_told() {
        let icmp = Icmp::new(Settings { host: "no-such-host.invalid".into() });
        let look = icmp.look(Instant::now() + Duration::from_secs(20)).await;
        assert_eq!(look.failures[0].reason(), Reason::Resolve);
        assert_eq!(look.get("probe_icmp_duration_seconds", &[("phase", "rtt")]), Some(0.0));
        assert_eq!((look.get("probe_success", &[]), look.get("probe_icmp_reply_hop_limit", &[])), (Some(0.0), None));
    }
}
