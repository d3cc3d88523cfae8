//! Who may change something, as long as no users are configured.
//!
//! Looking is open. Reloading and ingest are taken from loopback and from directly attached networks only. A request
//! from such a network's gateway came through a published port, from anywhere, and is refused; so is one that a
//! browser sends on behalf of another site (`Origin`) or under a name that is not ours (`Host`, DNS rebinding).
//!
//! What this cannot tell apart: Swarm's routing mesh and rootless port drivers let published traffic arrive from an address
//! of the network itself. There, do not publish the port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use sysinfo::Networks;
use url::Url;

use super::settings::host_name;

/// Interfaces and routes are read again after so long.
const FRESH: Duration = Duration::from_secs(5);

/// The networks that this machine or container sits in.
#[derive(Debug, Clone, Default)]
pub struct Neighbourhood {
    /// Our own addresses with the length of their network's prefix.
    own: Vec<(IpAddr, u8)>,
    /// Where packets for elsewhere go.
    gateways: Vec<IpAddr>,
}

impl Neighbourhood {
    /// Reads the interfaces and routes as they are now: containers are attached to networks while they run.
    pub fn read() -> Self {
        // Interfaces that cannot be read leave loopback alone near.
        let networks = Networks::new_with_refreshed_list();
        let own = networks
            .iter()
            .flat_map(|all| all.values())
            .flat_map(|data| data.ip_networks().iter().map(|net| (net.addr, net.prefix)))
            .collect();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut gateways = parse_gateways(&read("/proc/net/route"));
        gateways.extend(parse_gateways_v6(&read("/proc/net/ipv6_route")));
        Self { own, gateways }
    }

    /// The same, at most a few seconds old: usage events come often, networks rarely.
    pub fn recent() -> Arc<Self> {
        static READ: Mutex<Option<(Instant, Arc<Neighbourhood>)>> = Mutex::new(None);
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((at, known)) if at.elapsed() < FRESH => Arc::clone(known),
            _ => Arc::clone(&read.insert((Instant::now(), Arc::new(Self::read()))).1),
        }
    }

    fn is_near(&self, peer: IpAddr) -> bool {
        if peer.is_loopback() || self.own.iter().any(|(addr, _)| *addr == peer) {
            return true;
        }
        let attached =
            self.own.iter().filter(|(addr, prefix)| !addr.is_loopback() && same_network(*addr, peer, *prefix));
        let mut attached = attached.peekable();
        attached.peek().is_some()
            && !self.gateways.contains(&peer)
            && !attached.any(|(addr, prefix)| is_first_host(*addr, peer, *prefix))
    }
}

/// Says why a changing request is refused, or nothing when it may pass.
pub fn refusal(peer: SocketAddr, headers: &HeaderMap, external_url: &str, near: &Neighbourhood) -> Option<String> {
    let address = peer.ip().to_canonical();
    if !near.is_near(address) {
        return Some(format!(
            "{address} may look but not change anything: it is neither loopback nor on a directly attached network \
             (a published port arrives from the network's gateway)"
        ));
    }
    let external = Url::parse(external_url).ok();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_our_name(host, external.as_ref()) {
        return Some("the request's Host is not a name of this agent; set server.external_url if it should be".into());
    }
    let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    match origin {
        Some(origin) if !is_our_origin(origin, host, external.as_ref()) => {
            Some("the request was sent on behalf of another site (Origin)".into())
        }
        _ => None,
    }
}

/// Addresses, names without a dot (a Compose service, `localhost`) and the configured name cannot be rebound by a stranger's DNS.
fn is_our_name(host: &str, external: Option<&Url>) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}")) else { return host.is_empty() };
    match url.host() {
        None | Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        Some(url::Host::Domain(name)) => {
            !name.contains('.') || name == host_name() || external.and_then(Url::host_str) == Some(name)
        }
    }
}

fn is_our_origin(origin: &str, host: &str, external: Option<&Url>) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    authority == host || external.is_some_and(|external| external.origin() == url.origin())
}

fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

fn same_network(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    let ((a, width), (b, other)) = (bits(a), bits(b));
    // A prefix of 0 means that the mask could not be read: then nobody is near by it.
    width == other && prefix > 0 && (a ^ b) >> (width - prefix.min(width)).min(127) == 0
}

/// Docker gives a bridge network's gateway the first address, also where no route names it.
fn is_first_host(own: IpAddr, peer: IpAddr, prefix: u8) -> bool {
    let ((own, width), (peer, _)) = (bits(own), bits(peer));
    let host_bits = u32::from(width.saturating_sub(prefix));
    if !(2..128).contains(&host_bits) {
        return false;
    }
    peer == ((own >> host_bits) << host_bits) + 1
}

fn parse_gateways(routes: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let field = line.split_whitespace().nth(2)?;
        let raw = u32::from_str_radix(field, 16).ok().filter(|raw| *raw != 0)?;
        // The kernel prints the address as a number in memory order.
        Some(IpAddr::V4(Ipv4Addr::from(raw.to_ne_bytes())))
    };
    routes.lines().skip(1).filter_map(gateway).collect()
}

/// Destination, prefix, source, prefix, next hop, …: addresses as 32 hex digits.
fn parse_gateways_v6(routes: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let next_hop = u128::from_str_radix(line.split_whitespace().nth(4)?, 16).ok()?;
        (next_hop != 0).then(|| IpAddr::V6(Ipv6Addr::from(next_hop)))
    };
    routes.lines().filter_map(gateway).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn near() -> Neighbourhood {
        let routes = "Iface\tDestination\tGateway\neth0\t00000000\t010011AC\n";
        Neighbourhood {
            own: vec![("172.17.0.5".parse().unwrap(), 16), ("10.1.2.3".parse().unwrap(), 24)],
            gateways: parse_gateways(routes),
        }
    }

    fn refused(peer: &str, host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        refusal(peer.parse().unwrap(), &headers, "https://watch.example.org", &near()).is_some()
    }

    #[test]
    fn neighbours_and_loopback_may_change_things() {
        assert!(!refused("127.0.0.1:5", "localhost:9640", None));
        assert!(!refused("[::ffff:172.17.3.4]:5", "sidewatch:9640", None));
        assert!(!refused("10.1.2.77:5", "10.1.2.3:9640", None));
        assert!(!refused("172.17.0.5:5", "sidewatch", None), "our own address");
    }

    #[test]
    fn gateways_and_strangers_may_not() {
        assert!(refused("172.17.0.1:5", "localhost:9640", None), "the default route's gateway");
        assert!(refused("10.1.2.1:5", "localhost:9640", None), "the first address of a network without a route");
        assert!(refused("10.1.3.4:5", "localhost:9640", None));
        assert!(refused("8.8.8.8:5", "localhost:9640", None));
    }

    #[test]
    fn an_ipv6_gateway_is_known_by_its_route_and_an_unread_mask_makes_nobody_near() {
        let route = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd00000000000000000000000000ffff 00000400 00000001 00000000 00450003 eth0\n";
        assert_eq!(parse_gateways_v6(route), ["fd00::ffff".parse::<IpAddr>().unwrap()]);
        assert!(!same_network("10.0.0.1".parse().unwrap(), "8.8.8.8".parse().unwrap(), 0));
        assert!(same_network("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), 64));
    }

    #[test]
    fn foreign_names_and_origins_are_refused() {
        assert!(refused("127.0.0.1:5", "evil.example.com", None));
        assert!(refused("127.0.0.1:5", "localhost:9640", Some("https://evil.example.com")));
        assert!(refused("127.0.0.1:5", "localhost:9640", Some("null")));
        assert!(!refused("127.0.0.1:5", "localhost:9640", Some("http://localhost:9640")));
        assert!(!refused("127.0.0.1:5", "watch.example.org", Some("https://watch.example.org")));
    }
}
