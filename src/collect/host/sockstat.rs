//! `/proc/net/sockstat` and `sockstat6`: sockets in use, by protocol.

use crate::model::{Family, MetricKind};

use super::files::Files;
use super::{CollectError, Look};

#[derive(Debug, PartialEq)]
struct Field<'t> {
    protocol: &'t str,
    name: &'t str,
    value: f64,
}

/// Lines such as `TCP: inuse 27 orphan 1 tw 23 alloc 31 mem 3`.
fn parse(text: &str) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    for (protocol, rest) in text.lines().filter_map(|line| line.split_once(':')) {
        let words: Vec<_> = rest.split_ascii_whitespace().collect();
        for pair in words.chunks_exact(2) {
            if let Ok(value) = pair[1].parse() {
                fields.push(Field { protocol, name: pair[0], value });
            }
        }
    }
    fields
}

/// `node_sockstat_*`, as `node_exporter`'s collector `sockstat`.
pub(super) fn collect(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    let texts = [files.init_proc("net/sockstat")?, files.optional_init_proc("net/sockstat6")?.unwrap_or_default()];
    for field in texts.iter().flat_map(|text| parse(text)) {
        let Field { protocol, name, value } = field;
        let mut add = |name: &str, what: &str, value| {
            let help = format!("Number of {protocol} sockets in state {what}.");
            let family = Family::discovered(format!("node_sockstat_{protocol}_{name}"), MetricKind::Gauge, help);
            look.value(&family, value);
        };
        add(name, name, value);
        if name == "mem" {
            // The kernel counts pages; ours are as large as its own.
            add("mem_bytes", "mem_bytes", value * rustix::param::page_size() as f64);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_pairs() {
        let fields = parse("sockets: used 290\nTCP: inuse 27 orphan 1\nUDP: inuse\n");
        assert_eq!(fields[0], Field { protocol: "sockets", name: "used", value: 290.0 });
        assert_eq!(fields.len(), 3);
    }
}
