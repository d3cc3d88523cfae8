//! `/proc/net/sockstat` and `sockstat6`: sockets in use, by protocol.

use crate::model::{Family, MetricKind};

use super::visit::{Found, Outcome, Visit};

#[derive(Debug, PartialEq)]
struct Field<'t> {
    protocol: &'t str,
    name: &'t str,
    value: f64,
}

impl Field<'_> {
    fn family(&self, unit: &str) -> Family {
        let Self { protocol, name, .. } = self;
        let help = format!("The kernel's figure {name} for {protocol} in /proc/net/sockstat.");
        Family::discovered(format!("node_sockstat_{protocol}_{name}{unit}"), MetricKind::Gauge, help)
    }
}

/// Lines such as `TCP: inuse 27 orphan 1 tw 23 alloc 31 mem 3`.
fn parse(text: &str) -> impl Iterator<Item = Field<'_>> {
    text.lines().filter_map(|line| line.split_once(':')).flat_map(|(protocol, rest)| {
        let mut words = rest.split_ascii_whitespace();
        std::iter::from_fn(move || {
            let (name, value) = (words.next()?, words.next()?.parse().ok()?);
            Some(Field { protocol, name, value })
        })
    })
}

/// `node_sockstat_*`, as `node_exporter`'s collector `sockstat`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    fill(&visit.files.init_proc("net/sockstat")?, visit);
    // A kernel without IPv6 lacks it.
    fill(&visit.files.optional_init_proc("net/sockstat6")?.unwrap_or_default(), visit);
    Ok(Found::Seen)
}

fn fill(text: &str, visit: &mut Visit<'_>) {
    for field in parse(text) {
        visit.discovered(field.protocol, field.name, |_| field.family(""), field.value);
        if field.name == "mem" {
            // The kernel counts pages; ours are as large as its own.
            let bytes = field.value * rustix::param::page_size() as f64;
            visit.discovered(field.protocol, "mem_bytes", |_| field.family("_bytes"), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_pairs() {
        let fields: Vec<_> = parse("sockets: used 290\nTCP: inuse 27 orphan 1\nUDP: inuse\n").collect();
        assert_eq!(fields[0], Field { protocol: "sockets", name: "used", value: 290.0 });
        assert_eq!(fields.len(), 3);
    }
}
