//! What every probe tells, whatever it speaks: the verdict, the times, the address, TLS. The names are
//! `blackbox_exporter`'s, whose `common` prober code emits the same.
//!
//! In: what an exchange showed. Out: points in a [`Look`].

mod certificate;
mod pattern;
mod route;
mod trip;

pub use certificate::{Certificate, last_chain_expiry};
pub use pattern::{Pattern, read_expected};
pub use route::{Duplex, Route, Stream, broken, read_address, resolve};
pub use trip::Trip;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Family;
use crate::runtime::http_client::TlsFacts;

use super::look::come_back_by;
use super::{CollectError, Look};

/// The default job of every probe.
pub const JOB: &str = "blackbox";

static SUCCESS: Family = Family::gauge("probe_success", "Displays whether or not the probe was a success");
static DURATION: Family =
    Family::gauge("probe_duration_seconds", "Returns how long the probe took to complete in seconds");
static TIMEOUT: Family = Family::gauge("probe_timeout_seconds", "Returns the timeout of the probe in seconds");
static LOOKUP_TIME: Family =
    Family::gauge("probe_dns_lookup_time_seconds", "Returns the time taken for probe dns lookup in seconds");
static IP_PROTOCOL: Family = Family::gauge("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6");
static IP_ADDR_HASH: Family = Family::gauge(
    "probe_ip_addr_hash",
    "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
);
static FAILED_REGEX: Family = Family::gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex");
static EARLIEST_EXPIRY: Family =
    Family::gauge("probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime");
static LAST_CHAIN_EXPIRY: Family = Family::gauge(
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    "Returns last SSL chain expiry in timestamp seconds",
);
static LAST_CHAIN_INFO: Family =
    Family::gauge("probe_ssl_last_chain_info", "Contains SSL leaf certificate information");
static TLS_VERSION: Family = Family::gauge("probe_tls_version_info", "Contains the TLS version used");
static TLS_CIPHER: Family =
    Family::gauge("probe_tls_cipher_info", "Returns the TLS cipher negotiated during handshake");

/// The clock of one probe.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    start: Instant,
    limit: Duration,
    until: Instant,
}

impl Watch {
    /// Starts the clock of a look that must be back by `deadline`.
    pub fn start(deadline: Instant) -> Self {
        let start = Instant::now();
        // The runner set the deadline a moment ago; what was configured is the next whole millisecond.
        let limit = deadline.saturating_duration_since(start) + Duration::from_micros(999);
        let limit = Duration::from_millis(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        Self { start, limit, until: come_back_by(deadline) }
    }

    /// By when the probe must have what it can get.
    pub fn deadline(&self) -> Instant {
        self.until
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Writes the verdict and the times; the last thing a probe does.
    pub fn finish(&self, look: &mut Look) {
        look.value(&SUCCESS, f64::from(u8::from(look.healthy)));
        look.value(&DURATION, self.elapsed().as_secs_f64());
        look.value(&TIMEOUT, self.limit.as_secs_f64());
    }
}

/// The look of a probe that never came back: nothing is known but that it failed.
pub fn unanswered(error: CollectError) -> Look {
    let mut look = Look::new();
    look.unhealthy(error);
    look.value(&SUCCESS, 0.0);
    look
}

/// Tells how long the name took and to which address it led; without an address the two facts about it are 0, as blackbox has them.
pub fn report_address(look: &mut Look, lookup: Duration, peer: Option<SocketAddr>) {
    look.value(&LOOKUP_TIME, lookup.as_secs_f64());
    look.value(&IP_PROTOCOL, peer.map_or(0.0, |peer| if is_v4(peer.ip()) { 4.0 } else { 6.0 }));
    look.value(&IP_ADDR_HASH, peer.map_or(0.0, |peer| f64::from(address_hash(peer.ip()))));
}

/// Tells whether a regular expression of `expect` was to blame.
pub fn report_regex(look: &mut Look, failed: bool) {
    look.value(&FAILED_REGEX, f64::from(u8::from(failed)));
}

/// Tells what the handshake showed. `verified` says whether the chain was checked: an unchecked one has no chain expiry.
pub fn report_tls(look: &mut Look, facts: &TlsFacts, verified: bool) {
    look.labeled(&TLS_VERSION, [("version", facts.version)], 1.0);
    look.labeled(&TLS_CIPHER, [("cipher", &facts.cipher)], 1.0);
    let chain: Vec<_> = facts.chain.iter().filter_map(|der| Certificate::read(der)).collect();
    let Some(leaf) = chain.first() else {
        return;
    };
    let earliest = chain.iter().map(|certificate| certificate.not_after).min().unwrap_or(leaf.not_after);
    look.value(&EARLIEST_EXPIRY, earliest as f64);
    if verified {
        look.value(&LAST_CHAIN_EXPIRY, last_chain_expiry(&chain) as f64);
    }
    let labels = [
        ("fingerprint_sha256", leaf.fingerprint.as_str()),
        ("subject", &leaf.subject),
        ("issuer", &leaf.issuer),
        ("subjectalternative", &leaf.alternative_names),
        ("serialnumber", &leaf.serial),
    ];
    look.labeled(&LAST_CHAIN_INFO, labels, 1.0);
}

/// At most `most` characters of a text, on one line, for a message.
pub fn shortened(text: &str, most: usize) -> String {
    let line: String = text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(most).is_some() { format!("{line}…") } else { line }
}

fn is_v4(address: IpAddr) -> bool {
    matches!(address.to_canonical(), IpAddr::V4(_))
}

/// FNV-1a, 32 bits, over the address' four or sixteen bytes.
fn address_hash(address: IpAddr) -> u32 {
    let add = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    match address {
        IpAddr::V4(v4) => v4.octets().into_iter().fold(0x811c_9dc5, add),
        IpAddr::V6(v6) => v6.octets().into_iter().fold(0x811c_9dc5, add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Reason;

    #[test]
    fn addresses_hash_as_in_blackbox() {
        assert_eq!(address_hash(IpAddr::from([127, 0, 0, 1])), 3_668_918_509);
        assert_eq!(address_hash("::1".parse().unwrap()), 1_751_717_746);
    }

    #[test]
    fn a_message_stays_short_and_on_one_line() {
        assert_eq!(shortened("a\nbcd", 3), "a b…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }

    #[tokio::test]
    async fn the_verdict_is_always_told() {
        let deadline = Instant::now() + Duration::from_secs(2);
        let watch = Watch::start(deadline);
        let kept_back = deadline.duration_since(watch.deadline());
        assert!(kept_back > Duration::from_millis(45) && kept_back <= Duration::from_millis(50), "{kept_back:?}");
        let mut look = Look::new();
        watch.finish(&mut look);
        assert_eq!(look.get("probe_success", &[]), Some(1.0));
        assert!(look.get("probe_timeout_seconds", &[]).unwrap() > 1.9);
        let look = unanswered(CollectError::new(Reason::Timeout, "late"));
        assert_eq!((look.healthy, look.get("probe_success", &[])), (false, Some(0.0)));
    }
}
